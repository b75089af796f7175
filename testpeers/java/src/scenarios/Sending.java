package scenarios;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Producing, in every manner. */
final class Sending {
    private Sending() {
    }

    static void add(Map<String, Scenario> all) {
        all.put("send_sync", Sending::sync);
        all.put("send_async", Sending::async);
        all.put("send_oneway", Sending::oneway);
        all.put("send_to_queue", Sending::toQueue);
        all.put("send_batch", Sending::batch);
        all.put("send_creates_topic", Sending::createsTopic);
        all.put("send_properties", Sending::properties);
    }

    private static void sync(Run run) throws Exception {
        String topic = run.topic(4);
        DefaultMQProducer producer = run.producer();
        Map<Integer, List<Long>> places = new TreeMap<>();
        SendResult last = null;
        for (int i = 0; i < 8; i++) {
            Message message = Run.message(topic, "tag" + i % 2, "body " + i);
            message.setKeys("key" + i + " all");
            last = producer.send(message);
            run.name(last.getMsgId(), "id of " + i);
            places.computeIfAbsent(last.getMessageQueue().getQueueId(), queue -> new ArrayList<>()).add(last.getQueueOffset());
            if (i == 7) {
                run.see("unique id", "isMessageId", last.getMsgId().equals(message.getProperty("UNIQ_KEY")));
            }
        }
        run.see("places", "byQueue", places);
        Map<String, Object> result = Facts.of(last);
        result.remove("queue"); // The client begins its round anywhere.
        run.note("result", result);
        int port = MessageDecoder.decodeMessageId(last.getOffsetMsgId()).getAddress().toString().lastIndexOf(':');
        run.see("offset id", "length", last.getOffsetMsgId().length(), "hasAddress", port > 0);
        run.attempt("dialling the offset id", last(run, topic, last));
        List<MessageExt> stored = run.read(topic, 8);
        for (MessageExt message : stored) {
            run.note("stored", Facts.of(message));
        }
        Set<Long> positions = new HashSet<>();
        for (MessageExt message : stored) {
            positions.add(message.getCommitLogOffset());
        }
        run.see("positions", "different", positions.size());
    }

    private static java.util.concurrent.Callable<?> last(Run run, String topic, SendResult last) {
        return () -> Facts.text(run.admin().viewMessage(topic, last.getOffsetMsgId()));
    }

    private static void async(Run run) throws Exception {
        String topic = run.topic(2);
        DefaultMQProducer producer = run.producer();
        int count = 10;
        CountDownLatch answered = new CountDownLatch(count);
        List<String> ends = Collections.synchronizedList(new ArrayList<>());
        Set<String> places = Collections.synchronizedSet(new HashSet<>());
        for (int i = 0; i < count; i++) {
            producer.send(Run.message(topic, "async", "body " + i), new SendCallback() {
                @Override
                public void onSuccess(SendResult result) {
                    ends.add(String.valueOf(result.getSendStatus()));
                    places.add(result.getMessageQueue().getQueueId() + "/" + result.getQueueOffset());
                    answered.countDown();
                }

                @Override
                public void onException(Throwable wrong) {
                    ends.add(String.valueOf(wrong));
                    answered.countDown();
                }
            });
        }
        run.see("answers", "all", answered.await(20, TimeUnit.SECONDS), "ends", ends, "places", places.size());
        run.see("stored", "bodies", Facts.sortedBodies(run.read(topic, count)));
    }

    private static void oneway(Run run) throws Exception {
        String topic = run.topic(2);
        DefaultMQProducer producer = run.producer();
        for (int i = 0; i < 10; i++) {
            producer.sendOneway(Run.message(topic, "oneway", "body " + i));
        }
        run.see("stored", "bodies", Facts.sortedBodies(run.read(topic, 10)));
    }

    private static void toQueue(Run run) throws Exception {
        String topic = run.topic(4);
        DefaultMQProducer producer = run.producer();
        List<MessageQueue> queues = Run.sorted(producer.fetchPublishMessageQueues(topic));
        run.see("queues", "count", queues.size());
        run.note("chosen", Facts.of(producer.send(Run.message(topic, "a", "to 2"), queues.get(2))));
        run.note("chosen again", Facts.of(producer.send(Run.message(topic, "a", "to 2 again"), queues.get(2))));
        run.note("selected", Facts.of(producer.send(Run.message(topic, "a", "to 3"),
            (all, message, id) -> Run.sorted(all).get((Integer) id), 3)));
        producer.sendOneway(Run.message(topic, "a", "to 1"), queues.get(1));
        for (MessageExt message : run.read(topic, 4)) {
            run.note("stored", Facts.placed(message));
        }
    }

    private static void batch(Run run) throws Exception {
        String topic = run.topic(2);
        DefaultMQProducer producer = run.producer();
        MessageQueue queue = Run.sorted(producer.fetchPublishMessageQueues(topic)).get(1);
        for (int round = 0; round < 2; round++) {
            List<Message> messages = new ArrayList<>();
            for (int i = 0; i < 5; i++) {
                Message message = Run.message(topic, "tag" + i, "body " + round + "." + i);
                message.setKeys("key" + i);
                message.putUserProperty("n", String.valueOf(i));
                messages.add(message);
            }
            run.note("batch " + round, Facts.of(producer.send(messages, queue)));
        }
        int i = 0;
        for (MessageExt message : run.read(topic, 10)) {
            run.name(message.getMsgId(), "id of " + i++);
            run.note("stored", Facts.placed(message));
        }
    }

    private static void createsTopic(Run run) throws Exception {
        String topic = run.unusedTopic("");
        DefaultMQProducer producer = run.producer();
        SendResult sent = producer.send(Run.message(topic, "a", "first"));
        run.see("sent", "status", sent.getSendStatus(), "offset", sent.getQueueOffset());
        Run.until(40, () -> !producer.fetchPublishMessageQueues(topic).isEmpty());
        run.see("route", "queues", producer.fetchPublishMessageQueues(topic).size(),
            "read", run.admin().examineTopicRouteInfo(topic).getQueueDatas().get(0).getReadQueueNums(),
            "perm", run.admin().examineTopicRouteInfo(topic).getQueueDatas().get(0).getPerm());
        run.see("stored", "bodies", Facts.bodies(run.read(topic, 1)));
        String wide = run.unusedTopic("_wide");
        DefaultMQProducer other = run.producer(run.group("_other"));
        other.setDefaultTopicQueueNums(16);
        other.send(Run.message(wide, "a", "first"));
        Run.until(40, () -> !other.fetchPublishMessageQueues(wide).isEmpty());
        run.see("asked for 16 queues", "queues", other.fetchPublishMessageQueues(wide).size());
    }

    private static void properties(Run run) throws Exception {
        String topic = run.topic(1);
        DefaultMQProducer producer = run.producer();
        Message message = Run.message(topic, "täg-标签", "Größe 42 °C, 🚜");
        message.setKeys("schlüssel 键 🔑");
        message.putUserProperty("Ort", "Halle 3 – Süd");
        message.putUserProperty("emoji 🚜", "😀👩‍🔬");
        message.putUserProperty("空", "值");
        message.putUserProperty("blanks", " a  b ");
        message.putUserProperty("equals=and;others", "a=b;c&d\"e'f\\g\ttab\nline");
        message.putUserProperty("long", String.join("", Collections.nCopies(1_000, "0123456789")));
        message.setFlag(0x5a5a5a5a);
        message.setBuyerId("buyer");
        message.setWaitStoreMsgOK(false);
        run.name(producer.send(message).getMsgId(), "id");
        Message bare = new Message(topic, new byte[] {0, 1, 2, (byte) 0xff});
        run.name(producer.send(bare).getMsgId(), "id of bare");
        for (MessageExt stored : run.read(topic, 2)) {
            run.note("stored", Facts.placed(stored));
            run.see("bytes", "offset", stored.getQueueOffset(), "length", stored.getBody().length, "crc", stored.getBodyCRC());
        }
    }
}
