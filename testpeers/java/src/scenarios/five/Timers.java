package scenarios.five;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import scenarios.Facts;
import scenarios.Inbox;
import scenarios.Run;
import scenarios.Scenario;

/** Messages for a time of one's own, and taking them back. */
final class Timers {
    private Timers() {
    }

    static void add(Map<String, Scenario> all) {
        all.put("timer", Timers::deliver);
        all.put("timer_recall", Timers::recall);
    }

    private static void deliver(Run run) throws Exception {
        String topic = run.topic(1);
        Map<String, Long> arrived = new ConcurrentHashMap<>();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = run.push(run.group(""));
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (given, context) -> {
            given.forEach(message -> arrived.put(Facts.text(message), System.currentTimeMillis()));
            return inbox.consumeMessage(given, context);
        });
        consumer.start();
        Run.owns(consumer, topic, 1);
        DefaultMQProducer producer = run.producer();
        long began = System.currentTimeMillis();
        String[] bodies = {"in 3 s", "in 2500 ms", "at a time in 4 s", "at a time gone by"};
        for (String body : bodies) {
            Message message = Run.message(topic, "timer", body);
            message.putUserProperty("kept", "yes");
            switch (body) {
                case "in 3 s":
                    message.setDelayTimeSec(3);
                    break;
                case "in 2500 ms":
                    message.setDelayTimeMs(2_500);
                    break;
                case "at a time in 4 s":
                    message.setDeliverTimeMs(began + 4_000);
                    break;
                default:
                    message.setDeliverTimeMs(began - 10_000);
            }
            SendResult sent = producer.send(message);
            run.name(sent.getMsgId(), "id of " + body);
            run.see("sent", "body", body, "status", sent.getSendStatus(), "recallable", sent.getRecallHandle() != null);
        }
        Message far = Run.message(topic, "timer", "in four days");
        far.setDelayTimeSec(4 * 24 * 3_600);
        run.attempt("in four days", () -> producer.send(far).getSendStatus());
        List<MessageExt> got = inbox.takeAll(bodies.length, 40);
        for (MessageExt message : got) {
            run.note("arrived", Facts.of(message));
        }
        // Ticks are whole seconds: a broker may be one early.
        long[] due = {3_000, 2_500, 4_000, 0};
        for (int i = 0; i < bodies.length; i++) {
            long took = arrived.getOrDefault(bodies[i], 0L) - began;
            run.see("when", "body", bodies[i], "is", Facts.arrival(took, Math.max(0, due[i] - 1_000)));
        }
    }

    private static void recall(Run run) throws Exception {
        String topic = run.topic(1);
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = run.push(run.group(""));
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox);
        consumer.start();
        DefaultMQProducer producer = run.producer();
        List<SendResult> sent = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            Message message = Run.message(topic, "timer", "body " + i);
            message.setDelayTimeMs(6_000);
            sent.add(producer.send(message));
            run.name(sent.get(i).getMsgId(), "id of " + i);
        }
        run.attempt("recall", () -> producer.recallMessage(topic, sent.get(0).getRecallHandle()));
        run.attempt("recall again", () -> producer.recallMessage(topic, sent.get(0).getRecallHandle()));
        run.attempt("recall of nonsense", () -> producer.recallMessage(topic, "nonsense"));
        run.attempt("recall in another topic", () -> producer.recallMessage(run.unusedTopic("_other"), sent.get(1).getRecallHandle()));
        List<MessageExt> got = inbox.takeAll(1, 40);
        Thread.sleep(2_000);
        got.addAll(inbox.takeAll(0, 0));
        run.see("arrived", "bodies", Facts.bodies(got));
        run.attempt("recall too late", () -> producer.recallMessage(topic, sent.get(1).getRecallHandle()));
        run.see("an ordinary message", "recallable", producer.send(Run.message(topic, "", "now")).getRecallHandle() != null);
    }
}
