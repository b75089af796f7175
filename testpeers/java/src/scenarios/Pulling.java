package scenarios;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Consumers that ask for each batch. */
final class Pulling {
    private Pulling() {
    }

    static void add(Map<String, Scenario> all) {
        all.put("pull", Pulling::pull);
        all.put("pull_waiting", Pulling::waiting);
        all.put("lite_pull_subscribe", Pulling::subscribe);
        all.put("lite_pull_assign", Pulling::assign);
    }

    private static Map<String, Object> facts(PullResult result) {
        Map<String, Object> facts = new TreeMap<>();
        facts.put("status", result.getPullStatus());
        facts.put("next", result.getNextBeginOffset());
        facts.put("min", result.getMinOffset());
        facts.put("max", result.getMaxOffset());
        facts.put("bodies", result.getMsgFoundList() == null ? null : Facts.bodies(result.getMsgFoundList()));
        return facts;
    }

    private static void pull(Run run) throws Exception {
        String topic = run.topic(2);
        DefaultMQProducer producer = run.producer();
        MessageQueue queue = Run.sorted(producer.fetchPublishMessageQueues(topic)).get(1);
        for (int i = 0; i < 40; i++) {
            producer.send(Run.message(topic, "tag" + i % 2, "body " + i), queue);
        }
        DefaultMQPullConsumer consumer = run.pull(run.group(""));
        run.see("queues", "count", consumer.fetchSubscribeMessageQueues(topic).size());
        run.see("bounds", "min", consumer.minOffset(queue), "max", consumer.maxOffset(queue));
        run.note("first ten", facts(consumer.pull(queue, "*", 0, 10)));
        run.note("more than 32", facts(consumer.pull(queue, "*", 0, 40)));
        run.note("a tag", facts(consumer.pull(queue, "tag1", 0, 5)));
        run.note("no such tag", facts(consumer.pull(queue, "tag9", 0, 10)));
        run.note("at the end", facts(consumer.pull(queue, "*", 40, 10)));
        run.note("behind the end", facts(consumer.pull(queue, "*", 100, 10)));
        MessageQueue empty = Run.sorted(producer.fetchPublishMessageQueues(topic)).get(0);
        run.note("an empty queue", facts(consumer.pull(empty, "*", 0, 10)));
        run.note("behind an empty queue", facts(consumer.pull(empty, "*", 5, 10)));
        MessageQueue none = new MessageQueue(topic, queue.getBrokerName(), 7);
        run.attempt("no such queue", () -> facts(consumer.pull(none, "*", 0, 10)));
        MessageQueue nowhere = new MessageQueue(run.unusedTopic("_none"), queue.getBrokerName(), 0);
        run.attempt("no such topic", () -> facts(consumer.pull(nowhere, "*", 0, 10)));
        run.see("no offset yet", "offset", consumer.fetchConsumeOffset(queue, true));
        consumer.updateConsumeOffset(queue, 12);
        consumer.getDefaultMQPullConsumerImpl().getOffsetStore().updateConsumeOffsetToBroker(queue, 12, false);
        Run.until(10, () -> consumer.fetchConsumeOffset(queue, true) == 12);
        run.see("offset kept", "offset", consumer.fetchConsumeOffset(queue, true));
        run.see("times", "before all", consumer.searchOffset(queue, 1_000),
            "after all", consumer.searchOffset(queue, System.currentTimeMillis() + 100_000),
            "earliest", consumer.earliestMsgStoreTime(queue) > 0);
    }

    private static void waiting(Run run) throws Exception {
        String topic = run.topic(1);
        DefaultMQProducer producer = run.producer();
        MessageQueue queue = producer.fetchPublishMessageQueues(topic).get(0);
        DefaultMQPullConsumer consumer = run.pull(run.group(""));
        run.note("nothing there", facts(consumer.pull(queue, "*", 0, 10)));
        Thread later = new Thread(() -> {
            try {
                Thread.sleep(1_000);
                producer.send(Run.message(topic, "", "late"), queue);
            } catch (Exception wrong) {
                run.see("failed", "error", String.valueOf(wrong));
            }
        });
        long began = System.nanoTime();
        later.start();
        PullResult got = consumer.pullBlockIfNotFound(queue, "*", 0, 10);
        long took = (System.nanoTime() - began) / 1_000_000;
        later.join();
        run.note("held", facts(got));
        run.see("held for", "is", Facts.arrival(took, 1_000));
    }

    private static List<MessageExt> poll(DefaultLitePullConsumer consumer, int count, int seconds) {
        List<MessageExt> got = new ArrayList<>();
        long end = System.nanoTime() + seconds * 1_000_000_000L;
        while (got.size() < count && System.nanoTime() < end) {
            got.addAll(consumer.poll(200));
        }
        got.addAll(consumer.poll(300));
        return got;
    }

    // The client may drop what a pull brings that was under way when it was told to seek: then it is told again.
    private static List<MessageExt> pollFrom(DefaultLitePullConsumer consumer, MessageQueue queue, long offset, int count) throws Exception {
        List<MessageExt> got = new ArrayList<>();
        for (int tries = 0; tries < 4 && got.size() != count; tries++) {
            consumer.seek(queue, offset);
            got = poll(consumer, count, 8);
        }
        return got;
    }

    private static void subscribe(Run run) throws Exception {
        String topic = run.topic(2);
        String group = run.group("");
        DefaultMQProducer producer = run.producer();
        List<MessageQueue> queues = Run.sorted(producer.fetchPublishMessageQueues(topic));
        for (int i = 0; i < 10; i++) {
            producer.send(Run.message(topic, i < 5 ? "low" : "high", "body " + i), queues.get(i % 2));
        }
        DefaultLitePullConsumer consumer = run.litePull(group);
        consumer.setAutoCommit(false);
        consumer.subscribe(topic, "high");
        consumer.start();
        run.see("polled", "bodies", Facts.sortedBodies(poll(consumer, 5, 20)));
        consumer.commitSync();
        Run.until(10, () -> committed(consumer, queues) == 10);
        run.see("committed", "sum", committed(consumer, queues));
        consumer.shutdown();
        DefaultLitePullConsumer next = run.litePull(group);
        next.subscribe(topic, "high");
        next.start();
        for (int i = 10; i < 14; i++) {
            producer.send(Run.message(topic, "high", "body " + i));
        }
        run.see("next", "bodies", Facts.sortedBodies(poll(next, 4, 30)));
    }

    private static long committed(DefaultLitePullConsumer consumer, List<MessageQueue> queues) throws Exception {
        long sum = 0;
        for (MessageQueue queue : queues) {
            sum += consumer.committed(queue);
        }
        return sum;
    }

    private static void assign(Run run) throws Exception {
        String topic = run.topic(2);
        DefaultMQProducer producer = run.producer();
        MessageQueue first = Run.sorted(producer.fetchPublishMessageQueues(topic)).get(0);
        MessageQueue second = Run.sorted(producer.fetchPublishMessageQueues(topic)).get(1);
        for (int i = 0; i < 10; i++) {
            producer.send(Run.message(topic, "", "body " + i), i % 2 == 0 ? first : second);
        }
        DefaultLitePullConsumer consumer = run.litePull(run.group(""));
        consumer.setAutoCommit(false);
        consumer.start();
        run.see("queues", "count", consumer.fetchMessageQueues(topic).size());
        consumer.assign(Arrays.asList(first));
        run.see("one queue", "bodies", Facts.bodies(pollFrom(consumer, first, 0, 5)));
        run.see("from 3", "bodies", Facts.bodies(pollFrom(consumer, first, 3, 2)));
        consumer.seekToEnd(first);
        producer.send(Run.message(topic, "", "body 10"), first);
        List<MessageExt> last = poll(consumer, 1, 5);
        run.see("from the end", "bodies", Facts.bodies(last.size() == 1 ? last : pollFrom(consumer, first, 5, 1)));
        run.attempt("behind the end", () -> {
            consumer.seek(first, 100);
            return "taken";
        });
        run.see("offset of a time", "offset", consumer.offsetForTimestamp(second, 1_000L));
        consumer.assign(Arrays.asList(second));
        run.see("the other queue", "bodies", Facts.bodies(pollFrom(consumer, second, 0, 5)));
    }
}
