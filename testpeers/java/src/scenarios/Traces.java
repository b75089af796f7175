package scenarios;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.MessageExt;

/** The trail that clients leave in the trace topic. */
final class Traces {
    private Traces() {
    }

    static void add(Map<String, Scenario> all) {
        all.put("trace", Traces::play);
    }

    private static void play(Run run) throws Exception {
        String topic = run.topic(1);
        DefaultMQProducer producer = run.begin(new DefaultMQProducer(run.group("_p"), run.keys(), true, null));
        DefaultMQPushConsumer consumer = run.place(new DefaultMQPushConsumer(run.group(""), run.keys(), new AllocateMessageQueueAveragely(), true, null));
        run.atEnd(consumer::shutdown);
        Inbox inbox = new Inbox();
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox);
        consumer.start();
        long began = System.currentTimeMillis();
        SendResult sent = producer.send(Run.message(topic, "tag", "traced"));
        run.name(sent.getMsgId(), "id");
        run.see("consumed", "bodies", Facts.bodies(inbox.takeAll(1, 40)));
        List<String> records = new ArrayList<>();
        Run.until(30, () -> {
            records.clear();
            Map<String, MessageExt> found = new HashMap<>(); // One message may carry several records.
            for (MessageExt trace : run.admin().queryMessage("RMQ_SYS_TRACE_TOPIC", sent.getMsgId(), 64, began - 10_000, began + 100_000).getMessageList()) {
                found.put(trace.getMsgId(), trace);
            }
            for (MessageExt trace : found.values()) {
                for (String record : Facts.text(trace).split("\u0002")) {
                    if (record.contains(sent.getMsgId())) {
                        records.add(record);
                    }
                }
            }
            return records.size() >= 3;
        });
        List<String> kinds = new ArrayList<>();
        for (String record : records) {
            String[] fields = record.split("\u0001", -1);
            kinds.add(fields[0] + " of " + fields.length + " fields");
            if (fields[0].equals("Pub")) {
                run.see("published", "region", fields[2], "group", fields[3], "topic", fields[4], "idKnown", fields[5].equals(sent.getMsgId()),
                    "tags", fields[6], "keys", fields[7], "length", fields[9], "type", fields[11], "offsetIdKnown", fields[12].equals(sent.getOffsetMsgId()), "well", fields[13]);
            }
        }
        kinds.sort(null);
        run.see("records", "kinds", new TreeSet<>(kinds));
    }
}
