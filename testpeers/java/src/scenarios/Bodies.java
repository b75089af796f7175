package scenarios;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Bodies that are large, and that clients compress. */
final class Bodies {
    private Bodies() {
    }

    static void add(Map<String, Scenario> all) {
        all.put("bodies", Bodies::play);
    }

    private static void play(Run run) throws Exception {
        String topic = run.topic(1);
        DefaultMQProducer producer = run.producer();
        byte[] same = new byte[20_000];
        Arrays.fill(same, (byte) 'a');
        byte[] random = new byte[3 << 20];
        new Random(1).nextBytes(random);
        byte[] exact = new byte[4096];
        Arrays.fill(exact, (byte) 'b');
        byte[][] bodies = {same, random, exact, Arrays.copyOf(exact, 4095), {1}};
        for (int i = 0; i < bodies.length; i++) {
            run.name(producer.send(new Message(topic, "", "", bodies[i])).getMsgId(), "id of " + i);
        }
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = run.push(run.group(""));
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox);
        consumer.start();
        List<MessageExt> got = inbox.takeAll(bodies.length, 30);
        got.sort((a, b) -> Long.compare(a.getQueueOffset(), b.getQueueOffset()));
        for (MessageExt message : got) {
            int i = (int) message.getQueueOffset();
            run.note("consumed", Facts.placed(message));
            run.see("body", "of", i, "same", Arrays.equals(message.getBody(), bodies[i]), "compressed", message.getStoreSize() < bodies[i].length,
                "flagged", (message.getSysFlag() & 1) != 0);
        }
    }
}
