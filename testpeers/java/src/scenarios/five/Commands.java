package scenarios.five;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;
import scenarios.Inbox;
import scenarios.Run;
import scenarios.Scenario;

/** mqadmin, command by command, about a topic and a group whose state is known. */
final class Commands {
    private Commands() {
    }

    static void add(Map<String, Scenario> all) {
        all.put("mqadmin", Commands::play);
    }

    private static void play(Run run) throws Exception {
        String topic = run.topic(2);
        String made = run.unusedTopic("_made");
        String group = run.group("");
        String offline = run.group("_offline");
        String madeGroup = run.group("_made");
        String producers = run.group("_p");
        DefaultMQProducer producer = run.producer(producers);
        List<MessageQueue> queues = Run.sorted(producer.fetchPublishMessageQueues(topic));
        SendResult last = null;
        for (int i = 0; i < 6; i++) {
            Message message = Run.message(topic, "tag" + i % 2, "body " + i);
            message.setKeys("key" + i);
            last = producer.send(message, queues.get(i % 2));
            run.name(last.getMsgId(), "id of " + i);
            run.name(last.getOffsetMsgId(), "offset id of " + i);
        }
        DefaultMQPushConsumer leaving = consume(run, topic, offline);
        DefaultMQPushConsumer staying = consume(run, topic, group);
        Run.until(30, () -> run.admin().getConsumerRunningInfo(group, staying.buildMQClientId(), false).getMqTable().size() == 3);
        leaving.shutdown();
        producer.send(Run.message(topic, "", "not for the one offline"), queues.get(0));
        run.caughtUp(staying, group);
        String broker = run.generation().broker(run.admin());
        String name = queues.get(0).getBrokerName();
        String[][] commands = {
            {"clusterList"},
            {"topicList"}, // Everybody's: only what is this scenario's is compared.
            {"topicList", "-c"},
            {"topicRoute", "-t", topic},
            {"topicRoute", "-t", topic, "-l"},
            {"topicStatus", "-t", topic},
            {"topicClusterList", "-t", topic},
            {"updateTopic", "-b", broker, "-t", made, "-r", "3", "-w", "3"},
            {"updateTopic", "-c", "DefaultCluster", "-t", made, "-r", "4", "-w", "4", "-p", "6"},
            {"topicRoute", "-t", made},
            {"updateTopicPerm", "-b", broker, "-t", made, "-p", "4"},
            {"topicRoute", "-t", made},
            {"deleteTopic", "-c", "DefaultCluster", "-t", made},
            {"topicRoute", "-t", made},
            {"updateSubGroup", "-b", broker, "-g", madeGroup, "-r", "3"},
            {"getConsumerConfig", "-g", madeGroup},
            {"deleteSubGroup", "-b", broker, "-g", madeGroup, "-r", "true"},
            {"getConsumerConfig", "-g", madeGroup},
            {"getConsumerConfig", "-g", group},
            {"consumerProgress", "-g", group},
            {"consumerProgress", "-g", offline},
            {"consumerProgress", "-g", run.group("_none")},
            {"consumerConnection", "-g", group},
            {"consumerConnection", "-g", offline},
            {"producerConnection", "-g", producers, "-t", topic},
            {"producerConnection", "-g", run.group("_none"), "-t", topic},
            {"consumerStatus", "-g", group},
            {"brokerStatus", "-b", broker},
            {"brokerConsumeStats", "-b", broker},
            {"getBrokerConfig", "-b", broker},
            {"getNamesrvConfig"},
            {"queryMsgById", "-t", topic, "-i", last.getOffsetMsgId()},
            {"queryMsgByKey", "-t", topic, "-k", "key3"},
            {"queryMsgByKey", "-t", topic, "-k", "none"},
            {"queryMsgByUniqueKey", "-t", topic, "-i", last.getMsgId()},
            {"queryMsgByOffset", "-t", topic, "-b", name, "-i", "1", "-o", "2"},
            {"queryMsgByOffset", "-t", topic, "-b", name, "-i", "1", "-o", "9"},
            {"printMsg", "-t", topic},
            {"printMsgByQueue", "-t", topic, "-a", name, "-i", "1", "-p", "true"},
            {"queryCq", "-t", topic, "-q", "1", "-i", "0", "-c", "3", "-b", broker},
            {"queryMsgById", "-t", topic, "-i", last.getOffsetMsgId(), "-g", group, "-d", run.clientOf(group)},
            {"queryMsgByUniqueKey", "-t", topic, "-i", last.getMsgId(), "-g", group, "-d", run.clientOf(group)},
            {"queryMsgById", "-t", topic, "-i", last.getOffsetMsgId(), "-g", group, "-d", "nobody"},
            {"queryMsgById", "-t", topic, "-i", last.getOffsetMsgId(), "-g", offline, "-d", "nobody"},
            {"sendMessage", "-t", topic, "-p", "from mqadmin", "-b", name, "-i", "1"},
            {"consumeMessage", "-t", topic, "-b", name, "-i", "1", "-o", "0", "-c", "4"},
            {"statsAll", "-t", topic},
            {"allocateMQ", "-t", topic, "-i", "10.0.0.1,10.0.0.2"},
            {"cloneGroupOffset", "-s", offline, "-d", run.group("_clone"), "-t", topic},
            {"consumerProgress", "-g", run.group("_clone")},
            {"resetOffsetByTime", "-g", offline, "-t", topic, "-s", "-1"},
            {"skipAccumulatedMessage", "-g", offline, "-t", topic},
            {"consumerProgress", "-g", offline},
            {"updateKvConfig", "-s", "SCENARIO", "-k", "key", "-v", "value"},
            {"deleteKvConfig", "-s", "SCENARIO", "-k", "key"},
            {"wipeWritePerm", "-b", name},
            {"topicRoute", "-t", topic},
            {"addWritePerm", "-b", name},
            {"topicRoute", "-t", topic},
            {"updateOrderConf", "-t", topic, "-m", "put", "-v", name + ":4"},
            {"updateOrderConf", "-t", topic, "-m", "get"},
            {"updateOrderConf", "-t", topic, "-m", "delete"},
            {"setConsumeMode", "-b", broker, "-t", topic, "-g", offline, "-m", "PULL"},
            {"createUser", "-b", broker, "-u", "somebody", "-p", "secret"},
            {"listUser", "-b", broker},
            {"getUser", "-b", broker, "-u", "somebody"},
            {"createAcl", "-b", broker, "-s", "User:somebody", "-r", "Topic:a", "-a", "Pub", "-d", "Allow"},
            {"listAcl", "-b", broker},
            {"getAcl", "-b", broker, "-s", "User:somebody"},
            {"deleteAcl", "-b", broker, "-s", "User:somebody"},
            {"deleteUser", "-b", broker, "-u", "somebody"},
            {"cleanUnusedTopic", "-b", broker},
            {"cleanExpiredCQ", "-b", broker},
            {"topicStatus", "-t", run.unusedTopic("_none")},
            {"topicRoute", "-t", run.unusedTopic("_none")},
        };
        try (Console console = new Console()) {
            List<Console.Command> printing = new ArrayList<>();
            for (String[] command : commands) {
                if (command[0].equals("statsAll")) {
                    run.caughtUp(staying, group);
                }
                printing.add(console.play(run.nameServer(), run.keys(), command));
            }
            int number = 0;
            for (Console.Command each : printing) {
                String words = String.format("%02d %s", number++, String.join(" ", each.words));
                run.see(words, "lines", Reduced.lines(each.words[0], each.printed(), topic.substring(1)));
            }
        }
    }

    /** A group that has consumed what is there. */
    private static DefaultMQPushConsumer consume(Run run, String topic, String group) throws Exception {
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = run.push(group);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(inbox);
        consumer.start();
        inbox.take(6, 40);
        run.caughtUp(consumer, group);
        return consumer;
    }
}
