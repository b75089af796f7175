package scenarios.five;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.AckCallback;
import org.apache.rocketmq.client.consumer.AckResult;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PopCallback;
import org.apache.rocketmq.client.consumer.PopResult;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.impl.MQClientAPIImpl;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.common.message.MessageRequestMode;
import org.apache.rocketmq.remoting.protocol.header.AckMessageRequestHeader;
import org.apache.rocketmq.remoting.protocol.header.ChangeInvisibleTimeRequestHeader;
import org.apache.rocketmq.remoting.protocol.header.ExtraInfoUtil;
import org.apache.rocketmq.remoting.protocol.header.PopMessageRequestHeader;
import scenarios.Facts;
import scenarios.Inbox;
import scenarios.Run;
import scenarios.Scenario;

/** Consumption by pop: the broker hands messages out, one by one, for a time. */
final class Pops {
    private Pops() {
    }

    static void add(Map<String, Scenario> all) {
        all.put("pop_push", Pops::push);
        all.put("pop_push_retry", Pops::pushRetry);
        all.put("pop_by_hand", Pops::byHand);
        all.put("pop_waiting", Pops::waiting);
        all.put("pop_orderly", Pops::orderly);
    }

    private static DefaultMQPushConsumer popping(Run run, String topic, String group) throws Exception {
        run.admin().setMessageRequestMode(run.generation().broker(run.admin()), topic, group, MessageRequestMode.POP, 8, 5_000);
        DefaultMQPushConsumer consumer = run.push(group);
        consumer.setClientRebalance(false);
        consumer.subscribe(topic, "*");
        return consumer;
    }

    private static void push(Run run) throws Exception {
        String topic = run.topic(3);
        String group = run.group("");
        DefaultMQProducer producer = run.producer();
        for (int i = 0; i < 9; i++) {
            run.name(producer.send(Run.message(topic, "tag", "body " + i)).getMsgId(), "id of " + i);
        }
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = popping(run, topic, group);
        consumer.registerMessageListener(inbox);
        consumer.start();
        for (MessageExt message : inbox.takeAll(9, 30)) {
            run.note("consumed", Facts.of(message));
        }
        producer.send(Run.message(topic, "tag", "later"));
        run.see("consumed later", "bodies", Facts.bodies(inbox.takeAll(1, 40)));
    }

    private static void pushRetry(Run run) throws Exception {
        String topic = run.topic(1);
        String group = run.group("");
        DefaultMQProducer producer = run.producer();
        run.name(producer.send(Run.message(topic, "tag", "body")).getMsgId(), "id");
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = popping(run, topic, group);
        consumer.registerMessageListener((MessageListenerConcurrently) (given, context) -> {
            given.forEach(inbox::add);
            if (given.get(0).getReconsumeTimes() > 0) {
                return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            }
            context.setDelayLevelWhenNextConsume(1);
            return ConsumeConcurrentlyStatus.RECONSUME_LATER;
        });
        consumer.start();
        for (MessageExt message : inbox.takeAll(2, 60)) {
            run.note("consumed", Facts.of(message));
        }
    }

    // By hand, through what the client's own consumers use.

    private static final class Hand {
        final MQClientAPIImpl api;
        final String group;
        final String topic;
        final String address;
        final String broker;
        final boolean order;

        Hand(Run run, DefaultMQProducer producer, String group, String topic, boolean order) throws Exception {
            this.api = producer.getDefaultMQProducerImpl().getMqClientFactory().getMQClientAPIImpl();
            this.group = group;
            this.topic = topic;
            this.address = run.generation().broker(run.admin());
            this.broker = producer.fetchPublishMessageQueues(topic).get(0).getBrokerName();
            this.order = order;
        }

        PopResult pop(int queue, int most, long invisible, long wait) throws Exception {
            PopMessageRequestHeader header = new PopMessageRequestHeader();
            header.setConsumerGroup(group);
            header.setTopic(topic);
            header.setQueueId(queue);
            header.setMaxMsgNums(most);
            header.setInvisibleTime(invisible);
            header.setPollTime(wait);
            header.setBornTime(System.currentTimeMillis());
            header.setInitMode(0);
            header.setExpType("TAG");
            header.setExp("*");
            header.setOrder(order);
            CompletableFuture<PopResult> result = new CompletableFuture<>();
            api.popMessageAsync(broker, address, header, wait + 10_000, new PopCallback() {
                @Override
                public void onSuccess(PopResult popped) {
                    result.complete(popped);
                }

                @Override
                public void onException(Throwable wrong) {
                    result.completeExceptionally(wrong);
                }
            });
            return result.get(wait + 15_000, TimeUnit.MILLISECONDS);
        }

        /** Pops until there are so many, or the time is over. */
        List<MessageExt> popAll(int count, long invisible, int seconds) throws Exception {
            List<MessageExt> all = new ArrayList<>();
            long end = System.nanoTime() + seconds * 1_000_000_000L;
            while (all.size() < count && System.nanoTime() < end) {
                List<MessageExt> found = pop(-1, 32, invisible, 500).getMsgFoundList();
                if (found != null) {
                    all.addAll(found);
                }
            }
            return all;
        }

        private String realTopic(MessageExt message) {
            return ExtraInfoUtil.getRealTopic(ExtraInfoUtil.split(message.getProperty("POP_CK")), topic, group);
        }

        AckResult ack(MessageExt message) throws Exception {
            String[] handle = ExtraInfoUtil.split(message.getProperty("POP_CK"));
            AckMessageRequestHeader header = new AckMessageRequestHeader();
            header.setTopic(realTopic(message));
            header.setQueueId(ExtraInfoUtil.getQueueId(handle));
            header.setOffset(ExtraInfoUtil.getQueueOffset(handle));
            header.setConsumerGroup(group);
            header.setExtraInfo(message.getProperty("POP_CK"));
            Waiting waiting = new Waiting();
            api.ackMessageAsync(address, 5_000, waiting, header);
            return waiting.result.get(10, TimeUnit.SECONDS);
        }

        AckResult hide(MessageExt message, long invisible) throws Exception {
            String[] handle = ExtraInfoUtil.split(message.getProperty("POP_CK"));
            ChangeInvisibleTimeRequestHeader header = new ChangeInvisibleTimeRequestHeader();
            header.setTopic(realTopic(message));
            header.setQueueId(ExtraInfoUtil.getQueueId(handle));
            header.setOffset(ExtraInfoUtil.getQueueOffset(handle));
            header.setConsumerGroup(group);
            header.setExtraInfo(message.getProperty("POP_CK"));
            header.setInvisibleTime(invisible);
            Waiting waiting = new Waiting();
            api.changeInvisibleTimeAsync(broker, address, header, 5_000, waiting);
            return waiting.result.get(10, TimeUnit.SECONDS);
        }
    }

    private static final class Waiting implements AckCallback {
        final CompletableFuture<AckResult> result = new CompletableFuture<>();

        @Override
        public void onSuccess(AckResult ended) {
            result.complete(ended);
        }

        @Override
        public void onException(Throwable wrong) {
            result.completeExceptionally(wrong);
        }
    }

    private static void byHand(Run run) throws Exception {
        String topic = run.topic(1);
        DefaultMQProducer producer = run.producer();
        for (int i = 0; i < 4; i++) {
            run.name(producer.send(Run.message(topic, "tag", "body " + i)).getMsgId(), "id of " + i);
        }
        Hand hand = new Hand(run, producer, run.group(""), topic, false);
        PopResult first = hand.pop(0, 2, 3_000, 1_000);
        run.see("first", "status", first.getPopStatus(), "rest", first.getRestNum(), "bodies", Facts.bodies(first.getMsgFoundList()), "invisible", first.getInvisibleTime());
        for (MessageExt message : first.getMsgFoundList()) {
            run.note("popped", Facts.placed(message));
            run.see("handle", "parts", ExtraInfoUtil.split(message.getProperty("POP_CK")).length,
                "queue", ExtraInfoUtil.getQueueId(ExtraInfoUtil.split(message.getProperty("POP_CK"))),
                "offset", ExtraInfoUtil.getQueueOffset(ExtraInfoUtil.split(message.getProperty("POP_CK"))));
        }
        PopResult second = hand.pop(-1, 32, 60_000, 1_000);
        run.see("second", "status", second.getPopStatus(), "rest", second.getRestNum(), "bodies", Facts.bodies(second.getMsgFoundList()));
        run.attempt("ack", () -> hand.ack(first.getMsgFoundList().get(0)).getStatus());
        run.attempt("ack of the second", () -> hand.ack(second.getMsgFoundList().get(0)).getStatus());
        AckResult hidden = hand.hide(second.getMsgFoundList().get(1), 2_000);
        run.see("hidden for 2 s", "status", hidden.getStatus(), "handle", hidden.getExtraInfo() == null ? 0 : hidden.getExtraInfo().split(" ").length);
        // The second of the first two was not acknowledged within 3 s, the hidden one is back after 2 s.
        List<MessageExt> again = hand.popAll(2, 60_000, 60);
        again.sort((a, b) -> Facts.text(a).compareTo(Facts.text(b)));
        for (MessageExt message : again) {
            run.note("again", Facts.of(message));
            run.attempt("ack again", () -> hand.ack(message).getStatus());
        }
        run.attempt("ack of what was acknowledged", () -> hand.ack(first.getMsgFoundList().get(0)).getStatus());
        run.see("at the end", "status", hand.pop(-1, 32, 3_000, 500).getPopStatus());
        run.attempt("no such queue", () -> hand.pop(9, 1, 3_000, 500).getPopStatus());
    }

    private static void waiting(Run run) throws Exception {
        String topic = run.topic(1);
        DefaultMQProducer producer = run.producer();
        Hand hand = new Hand(run, producer, run.group(""), topic, false);
        long began = System.nanoTime();
        run.see("nothing", "status", hand.pop(-1, 1, 10_000, 1_500).getPopStatus(), "held", Facts.arrival((System.nanoTime() - began) / 1_000_000, 1_500));
        Thread later = new Thread(() -> {
            try {
                Thread.sleep(1_000);
                producer.send(Run.message(topic, "", "late"));
            } catch (Exception wrong) {
                run.see("failed", "error", String.valueOf(wrong));
            }
        });
        later.start();
        began = System.nanoTime();
        PopResult got = hand.pop(-1, 1, 10_000, 15_000);
        long took = (System.nanoTime() - began) / 1_000_000;
        later.join();
        run.see("woken", "status", got.getPopStatus(), "bodies", got.getMsgFoundList() == null ? Collections.emptyList() : Facts.bodies(got.getMsgFoundList()),
            "held", Facts.arrival(took, 1_000));
    }

    private static void orderly(Run run) throws Exception {
        String topic = run.topic(1);
        DefaultMQProducer producer = run.producer();
        MessageQueue queue = producer.fetchPublishMessageQueues(topic).get(0);
        for (int i = 0; i < 4; i++) {
            run.name(producer.send(Run.message(topic, "", "body " + i), queue).getMsgId(), "id of " + i);
        }
        Hand hand = new Hand(run, producer, run.group(""), topic, true);
        PopResult first = hand.pop(0, 2, 2_000, 500);
        run.see("first", "bodies", Facts.bodies(first.getMsgFoundList()));
        run.see("blocked", "status", hand.pop(0, 2, 2_000, 500).getPopStatus());
        hand.ack(first.getMsgFoundList().get(0));
        run.see("still blocked", "status", hand.pop(0, 2, 2_000, 200).getPopStatus());
        List<MessageExt> again = hand.popAll(1, 30_000, 20);
        Map<String, Object> facts = new TreeMap<>();
        facts.put("bodies", Facts.bodies(again));
        facts.put("times", again.get(0).getReconsumeTimes());
        run.note("again", facts);
        for (MessageExt message : again) {
            run.attempt("ack", () -> hand.ack(message).getStatus());
        }
        run.see("the rest", "bodies", Facts.bodies(hand.popAll(4 - 1 - again.size(), 30_000, 10)));
    }
}
