package scenarios;

import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.UtilAll;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageQueue;

/** Where a group begins, and where it is sent back to. */
final class Offsets {
    private Offsets() {
    }

    static void add(Map<String, Scenario> all) {
        all.put("reset_offset_online", Offsets::resetOnline);
        all.put("reset_offset_offline", Offsets::resetOffline);
        all.put("consume_from", Offsets::from);
    }

    private static DefaultMQPushConsumer consumer(Run run, String group, String topic, Inbox inbox) throws Exception {
        DefaultMQPushConsumer consumer = run.push(group);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox);
        consumer.start();
        Run.owns(consumer, topic, 2);
        return consumer;
    }

    /** Sends five, takes the time, sends five more. */
    private static long ten(DefaultMQProducer producer, String topic) throws Exception {
        long between = 0;
        for (int i = 0; i < 10; i++) {
            if (i == 5) {
                Thread.sleep(300);
                between = System.currentTimeMillis();
                Thread.sleep(300);
            }
            producer.send(Run.message(topic, "", "body " + i));
        }
        return between;
    }

    private static void resetOnline(Run run) throws Exception {
        String topic = run.topic(2);
        String group = run.group("");
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = consumer(run, group, topic, inbox);
        long between = ten(run.producer(), topic);
        run.see("at first", "bodies", Facts.sortedBodies(inbox.takeAll(10, 40)));
        run.caughtUp(consumer, group);
        run.see("reset", "queues", run.admin().resetOffsetByTimestamp(topic, group, between, true).size());
        // The client drops its queues for ten seconds.
        run.see("again", "bodies", Facts.sortedBodies(inbox.takeAll(5, 60)));
        run.caughtUp(consumer, group);
    }

    private static void resetOffline(Run run) throws Exception {
        String topic = run.topic(2);
        String group = run.group("");
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = consumer(run, group, topic, inbox);
        long between = ten(run.producer(), topic);
        run.see("at first", "bodies", Facts.sortedBodies(inbox.takeAll(10, 40)));
        run.caughtUp(consumer, group);
        consumer.shutdown();
        run.attempt("reset with nobody online", () -> run.admin().resetOffsetByTimestamp(topic, group, between, true).size());
        run.see("reset the old way", "queues", run.admin().resetOffsetByTimestampOld(group, topic, between, true).size());
        run.see("progress", "behind", run.admin().examineConsumeStats(group).computeTotalDiff());
        Inbox later = new Inbox();
        consumer(run, group, topic, later);
        run.see("again", "bodies", Facts.sortedBodies(later.takeAll(5, 40)));
    }

    private static void from(Run run) throws Exception {
        String topic = run.topic(1);
        DefaultMQProducer producer = run.producer();
        long between = ten(producer, topic);
        MessageQueue queue = producer.fetchPublishMessageQueues(topic).get(0);
        run.see("offset of the time", "offset", producer.searchOffset(queue, between));
        for (ConsumeFromWhere where : new ConsumeFromWhere[] {ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET,
            ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET, ConsumeFromWhere.CONSUME_FROM_TIMESTAMP}) {
            Inbox inbox = new Inbox();
            DefaultMQPushConsumer consumer = run.push(run.group("_" + where));
            consumer.setConsumeFromWhere(where);
            consumer.setConsumeTimestamp(UtilAll.timeMillisToHumanString3(between));
            consumer.subscribe(topic, "*");
            consumer.registerMessageListener(inbox);
            consumer.start();
            Run.owns(consumer, topic, 1);
            List<String> got = Facts.bodies(inbox.takeAll(10, 5));
            run.see("from", "where", where, "bodies", got);
            consumer.shutdown();
        }
    }
}
