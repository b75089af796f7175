package scenarios;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.MessageExt;

/** What of a message and of an answer can be compared between two brokers. */
public final class Facts {
    // Their values depend on the moment.
    private static final Set<String> MOMENTARY = new HashSet<>(Arrays.asList("MIN_OFFSET", "MAX_OFFSET", "CONSUME_START_TIME",
        "POP_CK", "1ST_POP_TIME", "TIMER_OUT_MS", "TIMER_ENQUEUE_MS", "TIMER_DEQUEUE_MS", "TIMER_DELIVER_MS", "ARRIVE_TIME", "PUSH_REPLY_TIME",
        "BORN_TIMESTAMP", "TRAN_PREPARED_QUEUE_OFFSET", "REPLY_TO_CLIENT"));

    private Facts() {
    }

    public static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    public static String text(MessageExt message) {
        return new String(message.getBody(), StandardCharsets.UTF_8);
    }

    public static List<String> bodies(Collection<MessageExt> messages) {
        List<String> bodies = new ArrayList<>();
        for (MessageExt message : messages) {
            bodies.add(text(message));
        }
        return bodies;
    }

    public static List<String> sortedBodies(Collection<MessageExt> messages) {
        List<String> bodies = bodies(messages);
        bodies.sort(null);
        return bodies;
    }

    public static Map<String, Object> of(MessageExt message) throws Exception {
        Map<String, Object> facts = new TreeMap<>();
        facts.put("topic", message.getTopic());
        facts.put("body", body(message.getBody()));
        facts.put("flag", message.getFlag());
        facts.put("sysFlag", message.getSysFlag());
        facts.put("reconsumeTimes", message.getReconsumeTimes());
        facts.put("loopback", message.getBornHostString().equals("127.0.0.1"));
        facts.put("bornBeforeStored", message.getBornTimestamp() <= message.getStoreTimestamp());
        facts.put("idIsUnique", Objects.equals(message.getMsgId(), message.getProperty("UNIQ_KEY")));
        Map<String, Object> properties = new TreeMap<>();
        for (Map.Entry<String, String> property : message.getProperties().entrySet()) {
            properties.put(property.getKey(), MOMENTARY.contains(property.getKey()) ? "<moment>" : property.getValue());
        }
        facts.put("properties", properties);
        return facts;
    }

    /** With the place in its queue. */
    public static Map<String, Object> placed(MessageExt message) throws Exception {
        Map<String, Object> facts = of(message);
        facts.put("queue", message.getQueueId());
        facts.put("offset", message.getQueueOffset());
        return facts;
    }

    static Object body(byte[] body) throws Exception {
        if (body == null) {
            return null;
        }
        if (body.length <= 200) {
            return new String(body, StandardCharsets.UTF_8);
        }
        StringBuilder hash = new StringBuilder();
        for (byte b : MessageDigest.getInstance("SHA-1").digest(body)) {
            hash.append(String.format("%02x", b));
        }
        return body.length + " bytes, SHA-1 " + hash;
    }

    public static Map<String, Object> of(SendResult result) {
        Map<String, Object> facts = new TreeMap<>();
        facts.put("status", String.valueOf(result.getSendStatus()));
        facts.put("queue", result.getMessageQueue().getQueueId());
        facts.put("topic", result.getMessageQueue().getTopic());
        facts.put("offset", result.getQueueOffset());
        facts.put("transactionId", result.getTransactionId());
        facts.put("region", result.getRegionId());
        facts.put("traceOn", result.isTraceOn());
        facts.put("ids", count(result.getMsgId()));
        facts.put("offsetIds", count(result.getOffsetMsgId()));
        return facts;
    }

    private static int count(String ids) {
        return ids == null ? 0 : ids.split(",").length;
    }

    /** "early", "in time" or "late": not before so many milliseconds, and at most 3 s after, on a machine that runs. */
    public static String arrival(long milliseconds, long due) {
        // Whoever waits for a processor is late for that alone, and the broker waits as we do.
        long allowed = due + 3_000 + 2 * Stalls.longest();
        // A broker's ticks are 100 ms and more, and clocks of two processes are not one.
        return milliseconds < due - 100 ? "early" : milliseconds <= allowed ? "in time" : "late: " + milliseconds + " ms";
    }
}
