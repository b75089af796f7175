package scenarios;

import java.util.Map;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.RPCHook;

/** TLS, and signed requests. */
final class Access {
    private Access() {
    }

    static void add(Map<String, Scenario> all) {
        all.put("tls", Access::tls);
        all.put("acl", Access::acl);
    }

    private static void tls(Run run) throws Exception {
        String topic = run.topic(2);
        DefaultMQProducer producer = new DefaultMQProducer(run.group("_p"), run.keys());
        producer.setUseTLS(true);
        run.begin(producer);
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = run.push(run.group(""));
        consumer.setUseTLS(true);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox);
        consumer.start();
        for (int i = 0; i < 4; i++) {
            producer.send(Run.message(topic, "", "body " + i));
        }
        byte[] large = new byte[1 << 20];
        producer.send(Run.message(topic, "", "plain " + large.length));
        run.see("consumed", "bodies", Facts.sortedBodies(inbox.takeAll(5, 40)));
    }

    /** Users of the broker: an administrator (this program's keys), and "device" with "device-secret", who may do all with topics T_acl_open… alone. */
    private static void acl(Run run) throws Exception {
        String open = run.topic("_open", 1);
        String closed = run.topic("_closed", 1);
        user(run, "administrator", run.keys(), open, closed);
        user(run, "device", Server.signing("device", "device-secret"), open, closed);
        user(run, "device with a wrong secret", Server.signing("device", "wrong-secret"), open, closed);
        user(run, "stranger", Server.signing("stranger", "device-secret"), open, closed);
        user(run, "unsigned", null, open, closed);
    }

    private static void user(Run run, String who, RPCHook keys, String open, String closed) throws Exception {
        String which = "_" + who.replace(' ', '-');
        DefaultMQProducer producer = new DefaultMQProducer(run.group("_p" + which), keys);
        producer.setRetryTimesWhenSendFailed(0);
        run.begin(producer);
        DefaultMQPullConsumer consumer = run.place(new DefaultMQPullConsumer(run.group(which), keys));
        consumer.start();
        run.atEnd(consumer::shutdown);
        String broker = run.admin().examineTopicRouteInfo(open).getQueueDatas().get(0).getBrokerName();
        for (String topic : new String[] {open, closed}) {
            run.attempt(who + " asks for the route of " + topic, () -> producer.fetchPublishMessageQueues(topic).size());
            run.attempt(who + " sends to " + topic, () -> producer.send(Run.message(topic, "", who)).getSendStatus());
            run.attempt(who + " pulls from " + topic, () -> consumer.pull(new MessageQueue(topic, broker, 0), "*", 0, 1).getPullStatus());
        }
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer push = run.place(new DefaultMQPushConsumer(run.group(which + "_push"), keys, new AllocateMessageQueueAveragely()));
        push.subscribe(open, "*");
        push.registerMessageListener(inbox);
        run.atEnd(push::shutdown);
        run.attempt(who + " consumes", () -> {
            push.start();
            return Facts.bodies(inbox.take(1, 3)).isEmpty() ? "nothing" : "something";
        });
    }
}
