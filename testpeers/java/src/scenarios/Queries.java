package scenarios;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/** Finding messages again. */
final class Queries {
    private Queries() {
    }

    static void add(Map<String, Scenario> all) {
        all.put("queries", Queries::play);
    }

    private static void play(Run run) throws Exception {
        String topic = run.topic(2);
        String other = run.topic("_other", 1);
        DefaultMQProducer producer = run.producer();
        List<MessageQueue> queues = Run.sorted(producer.fetchPublishMessageQueues(topic));
        long began = System.currentTimeMillis();
        List<SendResult> sent = new ArrayList<>();
        long middle = 0;
        for (int i = 0; i < 6; i++) {
            if (i == 3) {
                Thread.sleep(300);
                middle = System.currentTimeMillis();
                Thread.sleep(300);
            }
            Message message = Run.message(topic, "", "body " + i);
            message.setKeys(i % 2 == 0 ? "even common k" + i : "common k" + i);
            sent.add(producer.send(message, queues.get(0)));
            run.name(sent.get(i).getMsgId(), "id of " + i);
        }
        Message elsewhere = Run.message(other, "", "elsewhere");
        elsewhere.setKeys("common");
        producer.send(elsewhere);
        long ended = System.currentTimeMillis() + 1_000;
        // A stock broker indexes a moment later.
        Run.until(10, () -> producer.queryMessage(other, "common", 10, began - 1_000, ended + 10_000).getMessageList().size() == 1);
        for (String key : new String[] {"k0", "k5", "even", "common", "none", "even common k0"}) {
            run.attempt("key " + key, () -> Facts.sortedBodies(producer.queryMessage(topic, key, 32, began - 1_000, ended + 10_000).getMessageList()));
        }
        run.attempt("at most two", () -> producer.queryMessage(topic, "common", 2, began - 1_000, ended + 10_000).getMessageList().size());
        run.attempt("before", () -> Facts.sortedBodies(producer.queryMessage(topic, "common", 32, 0, began - 60_000).getMessageList()));
        run.attempt("unique key", () -> Facts.placed(producer.viewMessage(topic, sent.get(1).getMsgId())));
        run.attempt("unique key in another topic", () -> Facts.text(producer.viewMessage(other, sent.get(1).getMsgId())));
        run.attempt("offset id", () -> Facts.placed(producer.viewMessage(topic, sent.get(2).getOffsetMsgId())));
        String id = sent.get(2).getOffsetMsgId();
        run.attempt("an offset id behind the end", () -> producer.viewMessage(topic, id.substring(0, 16) + "00000FFFFFFFFFFF"));
        run.attempt("a forged unique key", () -> producer.viewMessage(topic, "7F0000010000000000000000000000FF"));
        run.see("offsets of times", "before", producer.searchOffset(queues.get(0), began - 10_000), "middle", producer.searchOffset(queues.get(0), middle),
            "after", producer.searchOffset(queues.get(0), ended + 100_000), "of an empty queue", producer.searchOffset(queues.get(1), middle));
        run.see("bounds", "min", producer.minOffset(queues.get(0)), "max", producer.maxOffset(queues.get(0)),
            "earliest", producer.earliestMsgStoreTime(queues.get(0)) >= began - 1_000);
        run.see("empty bounds", "min", producer.minOffset(queues.get(1)), "max", producer.maxOffset(queues.get(1)));
        run.attempt("earliest of an empty queue", () -> producer.earliestMsgStoreTime(queues.get(1)) > 0);
        MessageQueue none = new MessageQueue(topic, queues.get(0).getBrokerName(), 9);
        run.attempt("max of no queue", () -> producer.maxOffset(none));
    }
}
