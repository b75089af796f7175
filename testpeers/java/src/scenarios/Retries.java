package scenarios;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Messages that a consumer could not consume. */
final class Retries {
    private Retries() {
    }

    static void add(Map<String, Scenario> all) {
        all.put("retry_until_dead", Retries::untilDead);
        all.put("retry_then_well", Retries::thenWell);
        all.put("retry_default_delay", Retries::defaultDelay);
        all.put("retry_dead_at_once", Retries::deadAtOnce);
        all.put("retry_orderly_dead", Retries::orderlyDead);
    }

    private static void untilDead(Run run) throws Exception {
        play(run, 2, 1, Integer.MAX_VALUE);
    }

    private static void thenWell(Run run) throws Exception {
        play(run, 16, 1, 2);
    }

    /** Three times 10 s, 30 s …: only the first is waited for. */
    private static void defaultDelay(Run run) throws Exception {
        play(run, 16, 0, 1);
    }

    private static void deadAtOnce(Run run) throws Exception {
        play(run, 16, -1, Integer.MAX_VALUE);
    }

    private static void play(Run run, int most, int delayLevel, int failures) throws Exception {
        String topic = run.topic(1);
        String group = run.group("");
        DefaultMQProducer producer = run.producer();
        List<Long> times = Collections.synchronizedList(new ArrayList<>());
        Inbox seen = new Inbox();
        DefaultMQPushConsumer consumer = run.push(group);
        consumer.setMaxReconsumeTimes(most);
        consumer.subscribe(topic, "tag");
        consumer.registerMessageListener((MessageListenerConcurrently) (given, context) -> {
            for (MessageExt message : given) {
                times.add(System.currentTimeMillis());
                seen.add(message);
            }
            if (given.get(0).getReconsumeTimes() < failures) {
                context.setDelayLevelWhenNextConsume(delayLevel);
                return ConsumeConcurrentlyStatus.RECONSUME_LATER;
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        Message message = Run.message(topic, "tag", "body");
        message.setKeys("key");
        message.putUserProperty("kept", "yes");
        run.name(producer.send(message).getMsgId(), "id");
        int expected = Math.min(delayLevel < 0 ? 1 : most + 1, failures == Integer.MAX_VALUE ? Integer.MAX_VALUE : failures + 1);
        List<MessageExt> got = seen.take(expected, 40);
        Thread.sleep(1_500);
        got.addAll(seen.takeAll(0, 0));
        for (MessageExt each : got) {
            run.note("consumed", Facts.of(each));
        }
        long due = delayLevel == 0 ? 10_000 : 1_000;
        for (int i = 1; i < got.size(); i++) {
            run.see("again", "time", i, "is", Facts.arrival(times.get(i) - times.get(i - 1), due));
        }
        run.attempt("dead", () -> {
            if (failures != Integer.MAX_VALUE) {
                return run.admin().examineTopicRouteInfo("%DLQ%" + group).getQueueDatas().size();
            }
            MessageExt dead = run.read("%DLQ%" + group, 1).get(0);
            run.note("dead letter", Facts.placed(dead));
            return run.admin().examineTopicRouteInfo("%DLQ%" + group).getQueueDatas().get(0).getPerm();
        });
        if (failures != Integer.MAX_VALUE || delayLevel >= 0) {
            for (MessageExt retry : run.read("%RETRY%" + group, 1)) {
                run.note("in the retry topic", Facts.placed(retry));
            }
        }
        run.caughtUp(consumer, group);
        run.see("progress", "behind", run.admin().examineConsumeStats(group).computeTotalDiff());
    }

    /** An ordered consumer tries in place; the client itself sends what is hopeless to its dead letters. */
    private static void orderlyDead(Run run) throws Exception {
        String topic = run.topic(1);
        String group = run.group("");
        List<String> order = Collections.synchronizedList(new ArrayList<>());
        DefaultMQPushConsumer consumer = run.push(group);
        consumer.setMaxReconsumeTimes(2);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerOrderly) (given, context) -> {
            order.add(Facts.text(given.get(0)) + " x" + given.get(0).getReconsumeTimes());
            context.setSuspendCurrentQueueTimeMillis(100);
            return Facts.text(given.get(0)).equals("poison") ? ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT : ConsumeOrderlyStatus.SUCCESS;
        });
        consumer.start();
        DefaultMQProducer producer = run.producer();
        for (String body : new String[] {"before", "poison", "after"}) {
            run.name(producer.send(Run.message(topic, "", body)).getMsgId(), "id of " + body);
        }
        Run.until(40, () -> order.contains("after x0"));
        run.see("order", "bodies", order);
        // The client sends it to the retry topic, from where the broker moves what has had its times.
        run.attempt("dead letter", () -> Facts.placed(run.read("%DLQ%" + group, 1).get(0)));
    }
}
