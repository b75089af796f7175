package scenarios;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageQueue;

/** Consumers of one group that share the queues. */
final class Groups {
    private Groups() {
    }

    static void add(Map<String, Scenario> all) {
        all.put("group_shares", Groups::shares);
        all.put("group_hands_over_locks", Groups::handsOverLocks);
    }

    private static void shares(Run run) throws Exception {
        String topic = run.topic(4);
        String group = run.group("");
        Inbox[] inboxes = {new Inbox(), new Inbox()};
        DefaultMQPushConsumer[] consumers = new DefaultMQPushConsumer[2];
        for (int i = 0; i < 2; i++) {
            consumers[i] = run.push(group);
            consumers[i].subscribe(topic, "*");
            consumers[i].registerMessageListener(inboxes[i]);
            consumers[i].start();
            if (i == 0) {
                Run.owns(consumers[0], topic, 4);
            }
        }
        Run.owns(consumers[0], topic, 2);
        Run.owns(consumers[1], topic, 2);
        run.see("shared", "first", Run.owned(consumers[0], topic), "second", Run.owned(consumers[1], topic));
        DefaultMQProducer producer = run.producer();
        List<MessageQueue> queues = Run.sorted(producer.fetchPublishMessageQueues(topic));
        for (int i = 0; i < 8; i++) {
            producer.send(Run.message(topic, "", "q" + i % 4 + " " + i / 4), queues.get(i % 4));
        }
        run.see("consumed by the first", "bodies", Facts.sortedBodies(inboxes[0].takeAll(4, 40)));
        run.see("consumed by the second", "bodies", Facts.sortedBodies(inboxes[1].takeAll(4, 40)));
        run.see("members", "count", run.admin().examineConsumerConnectionInfo(group).getConnectionSet().size());
        consumers[0].shutdown();
        long began = System.nanoTime();
        Run.owns(consumers[1], topic, 4);
        run.see("taken over", "by", Run.owned(consumers[1], topic), "soon", (System.nanoTime() - began) / 1_000_000_000L < 10);
        for (int i = 0; i < 4; i++) {
            producer.send(Run.message(topic, "", "q" + i + " 2"), queues.get(i));
        }
        run.see("consumed by who is left", "bodies", Facts.sortedBodies(inboxes[1].takeAll(4, 40)));
        run.see("members then", "count", run.admin().examineConsumerConnectionInfo(group).getConnectionSet().size());
    }

    private static void handsOverLocks(Run run) throws Exception {
        String topic = run.topic(2);
        String group = run.group("");
        List<List<String>> consumed = new ArrayList<>();
        DefaultMQPushConsumer[] consumers = new DefaultMQPushConsumer[2];
        for (int i = 0; i < 2; i++) {
            List<String> mine = new ArrayList<>();
            consumed.add(mine);
            consumers[i] = run.push(group);
            consumers[i].subscribe(topic, "*");
            consumers[i].registerMessageListener((MessageListenerOrderly) (given, context) -> {
                synchronized (consumed) {
                    mine.addAll(Facts.bodies(given));
                }
                return ConsumeOrderlyStatus.SUCCESS;
            });
            consumers[i].start();
        }
        Run.owns(consumers[0], topic, 1);
        Run.owns(consumers[1], topic, 1);
        DefaultMQProducer producer = run.producer();
        List<MessageQueue> queues = Run.sorted(producer.fetchPublishMessageQueues(topic));
        for (int i = 0; i < 6; i++) {
            producer.send(Run.message(topic, "", "q" + i % 2 + " " + i / 2), queues.get(i % 2));
        }
        Run.until(60, () -> count(consumed) == 6);
        synchronized (consumed) {
            run.see("consumed", "first", consumed.get(0), "second", consumed.get(1));
        }
        consumers[0].shutdown();
        Run.owns(consumers[1], topic, 2);
        for (int i = 0; i < 4; i++) {
            producer.send(Run.message(topic, "", "q" + i % 2 + " " + (3 + i / 2)), queues.get(i % 2));
        }
        Run.until(60, () -> count(consumed) == 10);
        synchronized (consumed) {
            run.see("consumed by who is left", "bodies", new TreeSet<>(consumed.get(1)));
        }
    }

    private static int count(List<List<String>> consumed) {
        synchronized (consumed) {
            return consumed.get(0).size() + consumed.get(1).size();
        }
    }
}
