package scenarios;

import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * The gateway alone: what MQTT clients published to plant/… is consumed here, what is sent here to "machine"
 * arrives there, and the readings of the devices press (temperature 21) and oven (480) are filtered.
 */
final class Mqtt {
    private static final String[] FILTERS = {
        "device = 'press' AND temperature BETWEEN 20 AND 30", "temperature > 100", "temperature > 1000 OR device = 'crane'", "humidity IS NOT NULL",
        "humidity IS NULL AND TAGS = 'oven'",
    };

    private Mqtt() {
    }

    static void add(Map<String, Scenario> all) {
        all.put("mqtt", Mqtt::play);
    }

    private static void play(Run run) throws Exception {
        send(run);
        Inbox plant = consume(run, "_plant", "plant", "TRUE");
        Inbox[] readings = new Inbox[FILTERS.length];
        for (int i = 0; i < FILTERS.length; i++) {
            readings[i] = consume(run, "_readings" + i, "readings", FILTERS[i]);
        }
        for (MessageExt message : plant.takeAll(3, 40)) {
            run.note("published over MQTT", Facts.of(message));
        }
        // What nothing matches is looked at once the others have had readings.
        for (int i : new int[] {0, 1, 4, 2, 3}) {
            boolean matches = i != 2 && i != 3;
            TreeSet<String> devices = new TreeSet<>();
            List<MessageExt> got = matches ? readings[i].take(5, 40) : readings[i].takeAll(0, 0);
            for (MessageExt reading : got) {
                devices.add(reading.getKeys());
            }
            run.see("readings: " + FILTERS[i], "devices", devices, "some", got.size() >= 5);
            if (matches) {
                Map<String, Object> first = Facts.of(got.get(0));
                first.put("body", Facts.text(got.get(0)).replaceAll("\"(epoch|seq|ts)\":\\d+", "\"$1\":0"));
                run.note("a reading: " + FILTERS[i], first);
            }
        }
    }

    private static void send(Run run) throws Exception {
        DefaultMQProducer producer = run.producer();
        Message message = Run.message("machine", "fast", "stop at once");
        message.setKeys("order-7");
        message.putUserProperty("shift", "night");
        message.putUserProperty("größe", "m² 😀");
        // On a busy machine the client gives up waiting for the lock of its routes before it has sent anything.
        Run.until(60, () -> producer.send(message) != null);
        Message placed = Run.message("machine", "", "to a place");
        placed.putUserProperty("originMqttTopic", "machine/press 1/out");
        producer.send(placed);
    }

    private static Inbox consume(Run run, String group, String topic, String filter) throws Exception {
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = run.push(run.group(group));
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, MessageSelector.bySql(filter));
        consumer.registerMessageListener(inbox);
        consumer.start();
        return inbox;
    }
}
