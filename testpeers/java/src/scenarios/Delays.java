package scenarios;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** The fixed delays. */
final class Delays {
    private Delays() {
    }

    static void add(Map<String, Scenario> all) {
        all.put("delay_level", Delays::level);
    }

    private static void level(Run run) throws Exception {
        String topic = run.topic(1);
        Map<String, Long> arrived = new TreeMap<>();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = run.push(run.group(""));
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (given, context) -> {
            synchronized (arrived) {
                for (MessageExt message : given) {
                    arrived.put(Facts.text(message), System.currentTimeMillis());
                }
            }
            return inbox.consumeMessage(given, context);
        });
        consumer.start();
        Run.owns(consumer, topic, 1);
        DefaultMQProducer producer = run.producer();
        long began = System.currentTimeMillis();
        long[] due = {0, 1_000, 5_000};
        for (int level = 0; level < due.length; level++) {
            Message message = Run.message(topic, "delayed", "level " + level);
            message.setDelayTimeLevel(level);
            message.putUserProperty("kept", "yes");
            SendResult sent = producer.send(message);
            run.name(sent.getMsgId(), "id of level " + level);
            run.see("sent", "level", level, "status", sent.getSendStatus(), "topic", sent.getMessageQueue().getTopic());
        }
        Message never = Run.message(topic, "delayed", "level 99"); // As far as the last level goes, two hours.
        never.setDelayTimeLevel(99);
        run.see("sent level 99", "status", producer.send(never).getSendStatus());
        List<MessageExt> got = inbox.takeAll(due.length, 40);
        run.see("order", "bodies", Facts.bodies(got));
        for (MessageExt message : got) {
            run.note("arrived", Facts.placed(message));
        }
        for (int level = 0; level < due.length; level++) {
            run.see("when", "level", level, "is", Facts.arrival(arrived.getOrDefault("level " + level, 0L) - began, due[level]));
        }
    }
}
