package scenarios;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.client.producer.TransactionSendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Half messages: committed, rolled back, asked about. */
final class Transactions {
    private Transactions() {
    }

    static void add(Map<String, Scenario> all) {
        all.put("transactions", Transactions::play);
    }

    /** Decides by the body: "now/when asked". */
    private static final class Decider implements TransactionListener {
        final Map<String, Integer> asked = new ConcurrentHashMap<>();
        final List<MessageExt> checks = Collections.synchronizedList(new ArrayList<>());

        @Override
        public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
            return state(new String(message.getBody()).split("/")[0]);
        }

        @Override
        public LocalTransactionState checkLocalTransaction(MessageExt message) {
            checks.add(message);
            String body = Facts.text(message);
            int times = asked.merge(body, 1, Integer::sum);
            String[] answers = body.split("/")[1].split(",");
            return state(answers[Math.min(times, answers.length) - 1]);
        }

        private static LocalTransactionState state(String word) {
            switch (word) {
                case "commit":
                    return LocalTransactionState.COMMIT_MESSAGE;
                case "rollback":
                    return LocalTransactionState.ROLLBACK_MESSAGE;
                default:
                    return LocalTransactionState.UNKNOW;
            }
        }
    }

    private static void play(Run run) throws Exception {
        String topic = run.topic(1);
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = run.push(run.group(""));
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox);
        consumer.start();
        Decider decider = new Decider();
        TransactionMQProducer producer = new TransactionMQProducer(run.group("_p"), run.keys());
        producer.setTransactionListener(decider);
        run.begin(producer);
        String[] bodies = {"commit/", "rollback/", "unknown/commit", "unknown/rollback", "unknown/unknown,commit"};
        for (String body : bodies) {
            Message message = Run.message(topic, "tx", body);
            message.setKeys("key");
            message.putUserProperty("kept", "yes");
            TransactionSendResult sent = producer.sendMessageInTransaction(message, null);
            run.name(sent.getMsgId(), "id of " + body);
            Map<String, Object> facts = new TreeMap<>(Facts.of(sent));
            facts.put("state", String.valueOf(sent.getLocalTransactionState()));
            facts.put("transactionId", sent.getMsgId().equals(sent.getTransactionId()) ? "message id" : sent.getTransactionId());
            facts.remove("offset"); // The half topic is everybody's.
            facts.put("body", body);
            run.note("sent", facts);
        }
        // A stock broker asks every 30 s, and only about what is 6 s old.
        List<MessageExt> got = inbox.take(3, 120);
        Run.until(90, () -> decider.asked.size() >= 3);
        got.addAll(inbox.takeAll(0, 1));
        for (MessageExt message : got) {
            run.note("consumed", Facts.of(message));
        }
        run.see("order", "first", Facts.text(got.get(0)), "all", Facts.sortedBodies(got));
        List<MessageExt> checks = new ArrayList<>(decider.checks);
        Map<String, Integer> times = new TreeMap<>();
        for (MessageExt check : checks) {
            int time = times.merge(Facts.text(check), 1, Integer::sum);
            if (time <= 2 && Facts.text(check).startsWith("unknown")) { // An answer that is under way does not keep the broker from asking once more.
                Map<String, Object> facts = Facts.of(check);
                facts.put("time", time);
                if (time == 1 || Facts.text(check).equals("unknown/unknown,commit")) {
                    run.note("asked", facts);
                }
            }
        }
        run.see("asked about", "bodies", new ArrayList<>(times.keySet()));
    }
}
