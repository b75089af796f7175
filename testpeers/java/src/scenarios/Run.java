package scenarios;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.ClientConfig;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.RPCHook;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** One scenario being played: its names, its clients, and what it has seen. */
public final class Run implements AutoCloseable {
    public final String scenario;
    private final Server server;
    private final String suffix;
    private final List<String> seen = new ArrayList<>();
    private final Map<String, String> names = new ConcurrentHashMap<>();
    private final Deque<Runnable> clients = new ArrayDeque<>();
    private int instances;
    private DefaultMQPullConsumer reader;

    Run(Server server, String scenario, String suffix) {
        this.server = server;
        this.scenario = scenario;
        this.suffix = suffix;
    }

    // Names.

    /** A topic of this scenario alone. */
    public String topic(int queues) throws Exception {
        return topic("", queues);
    }

    public String topic(String which, int queues) throws Exception {
        String topic = unusedTopic(which);
        server.create(topic, queues);
        return topic;
    }

    /** A topic's name that nobody has used. */
    public String unusedTopic(String which) {
        return "T_" + scenario + which + suffix;
    }

    public String group(String which) {
        return "G_" + scenario + which + suffix;
    }

    /** Replaces an id by a name in what is seen. */
    public void name(String id, String name) {
        if (id != null) {
            names.put(id, name);
        }
    }

    // Clients, which live until the scenario ends.

    public DefaultMQAdminExt admin() throws Exception {
        return server.admin();
    }

    public Generation generation() {
        return server.generation;
    }

    public String nameServer() {
        return server.nameServer;
    }

    public RPCHook keys() {
        return server.keys;
    }

    /** Gives a client its name server and an instance of its own, so that it shares no connection. */
    public <C extends ClientConfig> C place(C client) {
        client.setNamesrvAddr(server.nameServer);
        synchronized (clients) {
            client.setInstanceName(scenario + suffix + "_" + (char) ('a' + instances++));
        }
        client.setPollNameServerInterval(2_000);
        client.setMqClientApiTimeout(30_000); // A busy machine is none of the broker's business.
        client.setHeartbeatBrokerInterval(1_000);
        client.setPersistConsumerOffsetInterval(500);
        return client;
    }

    public void atEnd(Runnable end) {
        synchronized (clients) {
            clients.push(end);
        }
    }

    public DefaultMQProducer producer() throws MQClientException {
        return producer(group("_p"));
    }

    public DefaultMQProducer producer(String group) throws MQClientException {
        return begin(new DefaultMQProducer(group, server.keys));
    }

    public <P extends DefaultMQProducer> P begin(P producer) throws MQClientException {
        place(producer).setSendMsgTimeout(60_000);
        producer.start();
        atEnd(producer::shutdown);
        return producer;
    }

    /** A push consumer that has not been started. */
    public DefaultMQPushConsumer push(String group) {
        DefaultMQPushConsumer consumer = place(new DefaultMQPushConsumer(group, server.keys, new AllocateMessageQueueAveragely()));
        consumer.setConsumeThreadMin(1); // The order of a queue can be seen.
        consumer.setConsumeThreadMax(1);
        atEnd(consumer::shutdown);
        return consumer;
    }

    public DefaultMQPullConsumer pull(String group) throws MQClientException {
        DefaultMQPullConsumer consumer = place(new DefaultMQPullConsumer(group, server.keys));
        consumer.start();
        atEnd(consumer::shutdown);
        return consumer;
    }

    /** A lite-pull consumer that has not been started. */
    public DefaultLitePullConsumer litePull(String group) {
        DefaultLitePullConsumer consumer = place(new DefaultLitePullConsumer(group, server.keys));
        atEnd(consumer::shutdown);
        return consumer;
    }

    /** The id of the first client of a group that is connected. */
    public String clientOf(String group) throws Exception {
        return admin().examineConsumerConnectionInfo(group).getConnectionSet().iterator().next().getClientId();
    }

    /** Waits until a push consumer owns so many queues. */
    public static void owns(DefaultMQPushConsumer consumer, String topic, int queues) throws Exception {
        until(30, () -> owned(consumer, topic).size() == queues);
    }

    /** The queues of a topic that a push consumer owns now. */
    public static List<Integer> owned(DefaultMQPushConsumer consumer, String topic) {
        List<Integer> ids = new ArrayList<>();
        for (MessageQueue queue : consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().keySet()) {
            if (queue.getTopic().equals(topic)) {
                ids.add(queue.getQueueId());
            }
        }
        ids.sort(null);
        return ids;
    }

    /** Waits until a group is behind by nothing; its consumer does not wait to say how far it is. */
    public void caughtUp(DefaultMQPushConsumer consumer, String group) throws Exception {
        until(40, () -> {
            consumer.getDefaultMQPushConsumerImpl().persistConsumerOffset();
            return admin().examineConsumeStats(group).computeTotalDiff() == 0;
        });
    }

    // Reading without consuming.

    /** Everything that is in a topic, by queue and offset, once there are so many. */
    public List<MessageExt> read(String topic, int atLeast) throws Exception {
        synchronized (this) {
            if (reader == null) {
                reader = pull(group("_reader"));
            }
        }
        List<MessageExt> found = new ArrayList<>();
        until(40, () -> {
            found.clear();
            for (MessageQueue queue : sorted(reader.fetchSubscribeMessageQueues(topic))) {
                long offset = reader.minOffset(queue);
                while (offset < reader.maxOffset(queue)) {
                    PullResult got = reader.pull(queue, "*", offset, 32);
                    if (got.getPullStatus() == PullStatus.FOUND) {
                        found.addAll(got.getMsgFoundList());
                    } else if (got.getPullStatus() == PullStatus.NO_NEW_MSG) {
                        break;
                    }
                    offset = got.getNextBeginOffset();
                }
            }
            return found.size() >= atLeast;
        });
        return found;
    }

    public static List<MessageQueue> sorted(Collection<MessageQueue> queues) {
        List<MessageQueue> sorted = new ArrayList<>(queues);
        sorted.sort(Comparator.comparingInt(MessageQueue::getQueueId));
        return sorted;
    }

    // Seeing.

    /** Notes one observation: pairs of a name and a value. */
    public void see(String what, Object... pairs) {
        Map<String, Object> with = new LinkedHashMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            with.put(String.valueOf(pairs[i]), pairs[i + 1]);
        }
        note(what, with);
    }

    public void note(String what, Map<String, Object> with) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("scenario", scenario);
        line.put("saw", what);
        line.put("with", with);
        synchronized (seen) {
            seen.add(Json.of(line));
        }
    }

    /** Notes how an attempt ends: well, or with which refusal. */
    public void attempt(String what, Callable<?> attempt) {
        Map<String, Object> with = new LinkedHashMap<>();
        try {
            Object result = attempt.call();
            with.put("result", result instanceof Number || result instanceof Map || result instanceof Iterable ? result : String.valueOf(result));
        } catch (Exception wrong) {
            refusal(wrong, with);
        }
        note(what, with);
    }

    private static void refusal(Throwable wrong, Map<String, Object> with) {
        with.put("error", wrong.getClass().getSimpleName());
        for (Throwable cause = wrong; cause != null; cause = cause.getCause()) {
            if (cause instanceof MQBrokerException) {
                with.put("code", ((MQBrokerException) cause).getResponseCode());
                with.put("remark", firstLine(((MQBrokerException) cause).getErrorMessage()));
                return;
            }
        }
        if (wrong instanceof MQClientException) {
            with.put("code", ((MQClientException) wrong).getResponseCode());
        }
        with.put("remark", firstLine(String.valueOf(wrong.getMessage())));
    }

    private static String firstLine(String text) {
        return text == null ? "" : text.split("\n", 2)[0];
    }

    // Waiting.

    /** Waits until something is so; whatever is thrown meanwhile means "not yet". */
    public static void until(int seconds, Callable<Boolean> so) throws Exception {
        long end = System.nanoTime() + seconds * 1_000_000_000L;
        for (;;) {
            Exception wrong = null;
            try {
                if (so.call()) {
                    return;
                }
            } catch (Exception e) {
                wrong = e;
            }
            if (System.nanoTime() > end) {
                throw new IllegalStateException("not so within " + seconds + " s", wrong);
            }
            Thread.sleep(50);
        }
    }

    public static Message message(String topic, String tags, String body) {
        return new Message(topic, tags, Facts.bytes(body));
    }

    /** Ends the clients and prints what was seen. */
    @Override
    public void close() {
        synchronized (clients) {
            while (!clients.isEmpty()) {
                try {
                    clients.pop().run();
                } catch (RuntimeException alreadyGone) {
                    System.err.println(scenario + ": " + alreadyGone);
                }
            }
        }
        List<String> lines = new ArrayList<>();
        synchronized (seen) {
            for (String line : seen) {
                for (Map.Entry<String, String> name : names.entrySet()) {
                    line = line.replace(name.getKey(), "<" + name.getValue() + ">");
                }
                lines.add(Wording.plain(line, suffix));
            }
        }
        lines.sort(null);
        synchronized (System.out) {
            lines.forEach(System.out::println);
        }
    }
}
