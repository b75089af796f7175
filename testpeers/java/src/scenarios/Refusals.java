package scenarios;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/** What a broker does not take. */
final class Refusals {
    private Refusals() {
    }

    static void add(Map<String, Scenario> all) {
        all.put("refusals", Refusals::play);
    }

    private static void play(Run run) throws Exception {
        String topic = run.topic(2);
        DefaultMQProducer producer = run.producer();
        producer.setMaxMessageSize(32 << 20);
        producer.setRetryTimesWhenSendFailed(0);
        MessageQueue queue = Run.sorted(producer.fetchPublishMessageQueues(topic)).get(0);
        byte[] large = new byte[(4 << 20) + 1];
        new Random(1).nextBytes(large);
        run.attempt("a body over 4 MiB", () -> producer.send(new Message(topic, large), queue).getSendStatus());
        run.attempt("an empty body", () -> producer.send(new Message(topic, new byte[0]), queue).getSendStatus());
        Message wide = Run.message(topic, "", "body");
        StringBuilder value = new StringBuilder();
        for (int i = 0; i < 4_000; i++) {
            value.append("0123456789");
        }
        wide.putUserProperty("wide", value.toString());
        run.attempt("properties over 32 KiB", () -> producer.send(wide, queue).getSendStatus());
        MessageQueue none = new MessageQueue(topic, queue.getBrokerName(), 17);
        run.attempt("no such queue", () -> producer.send(Run.message(topic, "", "body"), none).getSendStatus());
        run.attempt("a negative queue", () -> {
            producer.send(Run.message(topic, "", "body"), new MessageQueue(topic, queue.getBrokerName(), -1));
            return "taken";
        });
        for (String name : new String[] {"with blank", "with/slash", "über", "a+b", "", "SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_HALF_TOPIC", "TBW102"}) {
            run.attempt("topic " + name, () -> producer.send(Run.message(name, "", "body")).getSendStatus());
            // The client checks names by itself; a queue of its own goes past some of that.
            run.attempt("queue of " + name, () -> producer.send(Run.message(name, "", "body"), new MessageQueue(name, queue.getBrokerName(), 0)).getSendStatus());
        }
        String broker = run.generation().broker(run.admin());
        for (String name : new String[] {"with blank", "with/slash", "SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_HALF_TOPIC", "TBW102", "%RETRY%x", "x%y|z"}) {
            run.attempt("creating " + name, () -> {
                run.admin().createAndUpdateTopicConfig(broker, new TopicConfig(name, 1, 1, 6));
                return "created";
            });
        }
        for (int perm : new int[] {2, 4}) { // Writing alone, reading alone.
            String limited = run.unusedTopic("_perm" + perm);
            run.admin().createAndUpdateTopicConfig(broker, new TopicConfig(limited, 1, 1, perm));
            MessageQueue only = new MessageQueue(limited, queue.getBrokerName(), 0);
            run.attempt("sending with perm " + perm, () -> producer.send(Run.message(limited, "", "body"), only).getSendStatus());
            DefaultMQPullConsumer consumer = run.pull(run.group("_perm" + perm));
            run.attempt("pulling with perm " + perm, () -> consumer.pull(only, "*", 0, 1).getPullStatus());
        }
        List<Message> batch = new ArrayList<>();
        batch.add(Run.message(topic, "", "one"));
        batch.add(Run.message(run.unusedTopic("_other"), "", "two"));
        run.attempt("a batch of two topics", () -> producer.send(batch).getSendStatus());
        run.attempt("stored", () -> Facts.sortedBodies(run.read(topic, 0)));
        run.attempt("no such topic to delete", () -> {
            run.admin().deleteTopicInBroker(java.util.Collections.singleton(broker), run.unusedTopic("_none"));
            return "deleted";
        });
    }
}
