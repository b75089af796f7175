package scenarios;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Push consumers, one at a time. */
final class Pushing {
    private Pushing() {
    }

    static void add(Map<String, Scenario> all) {
        all.put("push_concurrently", Pushing::concurrently);
        all.put("push_orderly", Pushing::orderly);
        all.put("push_waiting", Pushing::waiting);
        all.put("push_broadcasting", Pushing::broadcasting);
        all.put("push_asked_about", Pushing::askedAbout);
    }

    private static void concurrently(Run run) throws Exception {
        String topic = run.topic(3);
        String group = run.group("");
        DefaultMQProducer producer = run.producer();
        List<MessageQueue> queues = Run.sorted(producer.fetchPublishMessageQueues(topic));
        for (int i = 0; i < 12; i++) {
            run.name(producer.send(Run.message(topic, "tag" + i % 2, "body " + i), queues.get(i % 3)).getMsgId(), "id of " + i);
        }
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = run.push(group);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox);
        consumer.start();
        for (MessageExt message : inbox.takeAll(12, 40)) {
            run.note("consumed", Facts.placed(message));
        }
        run.caughtUp(consumer, group);
        run.see("progress", "behind", run.admin().examineConsumeStats(group).computeTotalDiff());
        run.see("retry topic", "queues", run.admin().examineTopicRouteInfo("%RETRY%" + group).getQueueDatas().get(0).getWriteQueueNums(),
            "perm", run.admin().examineTopicRouteInfo("%RETRY%" + group).getQueueDatas().get(0).getPerm());
        consumer.shutdown();
        Inbox later = new Inbox();
        DefaultMQPushConsumer again = run.push(group);
        again.subscribe(topic, "*");
        again.registerMessageListener(later);
        again.start();
        Run.owns(again, topic, 3);
        producer.send(Run.message(topic, "", "one more"));
        run.see("after a restart", "bodies", Facts.bodies(later.takeAll(1, 40)));
    }

    private static void orderly(Run run) throws Exception {
        String topic = run.topic(3);
        DefaultMQProducer producer = run.producer();
        List<MessageQueue> queues = Run.sorted(producer.fetchPublishMessageQueues(topic));
        for (int i = 0; i < 12; i++) {
            producer.send(Run.message(topic, "", "q" + i % 3 + " " + i / 3), queues.get(i % 3));
        }
        Map<Integer, List<String>> orders = new TreeMap<>();
        AtomicInteger done = new AtomicInteger();
        DefaultMQPushConsumer consumer = run.push(run.group(""));
        consumer.subscribe(topic, "*");
        consumer.setConsumeMessageBatchMaxSize(1);
        consumer.registerMessageListener((MessageListenerOrderly) (given, context) -> {
            MessageExt message = given.get(0);
            synchronized (orders) {
                orders.computeIfAbsent(message.getQueueId(), queue -> new ArrayList<>()).add(Facts.text(message) + " x" + message.getReconsumeTimes());
            }
            if (Facts.text(message).equals("q1 1") && message.getReconsumeTimes() < 2) {
                context.setSuspendCurrentQueueTimeMillis(100);
                return ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
            }
            done.incrementAndGet();
            return ConsumeOrderlyStatus.SUCCESS;
        });
        consumer.start();
        Run.until(40, () -> done.get() == 12);
        synchronized (orders) {
            run.see("consumed", "byQueue", orders);
        }
    }

    /** Messages that are sent to a consumer which is already waiting for them. */
    private static void waiting(Run run) throws Exception {
        String topic = run.topic(2);
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = run.push(run.group(""));
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox);
        consumer.start();
        Run.owns(consumer, topic, 2);
        Thread.sleep(1_000);
        DefaultMQProducer producer = run.producer();
        for (int i = 0; i < 3; i++) {
            long began = System.nanoTime();
            producer.send(Run.message(topic, "", "body " + i));
            List<MessageExt> got = inbox.take(1, 40);
            long took = (System.nanoTime() - began) / 1_000_000;
            run.see("woken", "bodies", Facts.bodies(got), "within", took < 2_000 ? "2 s" : took + " ms");
        }
    }

    private static void broadcasting(Run run) throws Exception {
        String topic = run.topic(2);
        String group = run.group("");
        Inbox[] inboxes = {new Inbox(), new Inbox()};
        DefaultMQPushConsumer[] consumers = new DefaultMQPushConsumer[2];
        for (int i = 0; i < 2; i++) {
            consumers[i] = run.push(group);
            run.generation().broadcast(consumers[i]);
            consumers[i].subscribe(topic, "*");
            consumers[i].registerMessageListener(inboxes[i]);
            consumers[i].start();
        }
        for (DefaultMQPushConsumer consumer : consumers) {
            Run.owns(consumer, topic, 2);
        }
        DefaultMQProducer producer = run.producer();
        for (int i = 0; i < 6; i++) {
            producer.send(Run.message(topic, "", "body " + i));
        }
        for (Inbox inbox : inboxes) {
            run.see("consumed", "bodies", Facts.sortedBodies(inbox.takeAll(6, 40)));
        }
        run.see("connection", "model", run.admin().examineConsumerConnectionInfo(group).getMessageModel());
    }

    /** What an administrator learns from a consumer that is online. */
    private static void askedAbout(Run run) throws Exception {
        String topic = run.topic(2);
        String group = run.group("");
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = run.push(group);
        consumer.subscribe(topic, "a || b");
        consumer.registerMessageListener(inbox);
        consumer.start();
        Run.owns(consumer, topic, 2);
        String producers = run.group("_p");
        DefaultMQProducer producer = run.producer(producers);
        producer.send(Run.message(topic, "a", "body"));
        MessageExt got = inbox.take(1, 40).get(0);
        run.caughtUp(consumer, group);
        Run.until(40, () -> run.admin().examineProducerConnectionInfo(producers, topic).getConnectionSet().size() == 1);
        run.see("connections", "consumers", run.admin().examineConsumerConnectionInfo(group).getConnectionSet().size(),
            "type", run.admin().examineConsumerConnectionInfo(group).getConsumeType(),
            "model", run.admin().examineConsumerConnectionInfo(group).getMessageModel(),
            "from", run.admin().examineConsumerConnectionInfo(group).getConsumeFromWhere(),
            "topics", new java.util.TreeSet<>(run.admin().examineConsumerConnectionInfo(group).getSubscriptionTable().keySet()),
            "expression", run.admin().examineConsumerConnectionInfo(group).getSubscriptionTable().get(topic).getSubString(),
            "language", run.admin().examineConsumerConnectionInfo(group).getConnectionSet().iterator().next().getLanguage(),
            "sameId", run.admin().examineConsumerConnectionInfo(group).getConnectionSet().iterator().next().getClientId().equals(consumer.buildMQClientId()));
        run.see("who consumes", "groups", run.admin().queryTopicConsumeByWho(topic).getGroupList());
        Run.until(30, () -> run.admin().getConsumerRunningInfo(group, consumer.buildMQClientId(), false).getMqTable().size() == 3);
        Map<String, Object> running = new TreeMap<>();
        running.put("type", run.admin().getConsumerRunningInfo(group, consumer.buildMQClientId(), false).getProperties().getProperty("PROP_CONSUME_TYPE"));
        running.put("queues", run.admin().getConsumerRunningInfo(group, consumer.buildMQClientId(), false).getMqTable().size());
        running.put("subscriptions", run.admin().getConsumerRunningInfo(group, consumer.buildMQClientId(), false).getSubscriptionSet().size());
        run.note("running", running);
        String offsetId = run.read(topic, 1).get(0).getMsgId();
        run.attempt("consumed directly", () -> run.admin().consumeMessageDirectly(group, consumer.buildMQClientId(), topic, offsetId).getConsumeResult());
        run.see("given directly", "bodies", Facts.bodies(inbox.take(1, 40)));
        Run.until(10, () -> String.valueOf(run.admin().messageTrackDetail(got).get(0).getTrackType()).equals("CONSUMED"));
        run.see("track", "types", run.admin().messageTrackDetail(got).get(0).getTrackType());
        run.attempt("nobody online", () -> run.admin().examineConsumerConnectionInfo(run.group("_nobody")));
        run.attempt("no such client", () -> run.admin().getConsumerRunningInfo(group, "nobody", false));
        run.attempt("no such producer", () -> run.admin().examineProducerConnectionInfo(run.group("_nobody"), topic));
    }
}
