package scenarios;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/** Subscriptions to a part of a topic. */
final class Filters {
    private Filters() {
    }

    static void add(Map<String, Scenario> all) {
        all.put("filter_tags", Filters::tags);
        all.put("filter_sql", Filters::sql);
        all.put("filter_sql_push", Filters::sqlPush);
    }

    private static void tags(Run run) throws Exception {
        String topic = run.topic(1);
        DefaultMQProducer producer = run.producer();
        // "Aa" and "BB" have the same hash code.
        String[] tags = {"a", "b", "c", null, "a", "Aa", "BB", "tag with blank", "标签 🚜", "A"};
        for (int i = 0; i < tags.length; i++) {
            producer.send(Run.message(topic, tags[i], i + " " + tags[i]));
        }
        String[] expressions = {"*", "a", "a || c", "a||c", " b ", "Aa", "BB", "tag with blank", "标签 🚜", "none", "c || none || b"};
        Inbox[] inboxes = new Inbox[expressions.length];
        for (int i = 0; i < expressions.length; i++) {
            inboxes[i] = new Inbox();
            DefaultMQPushConsumer consumer = run.push(run.group("_" + i));
            consumer.subscribe(topic, expressions[i]);
            consumer.registerMessageListener(inboxes[i]);
            consumer.start();
        }
        for (int i = 0; i < expressions.length; i++) {
            producer.send(Run.message(topic, i == 0 ? null : expressions[i].split("\\|\\|")[0].trim(), "last of " + i));
        }
        for (int i = 0; i < expressions.length; i++) {
            List<String> got = new ArrayList<>();
            while (!got.contains("last of " + i)) {
                List<String> more = Facts.bodies(inboxes[i].take(1, 40));
                if (more.isEmpty()) {
                    got.add("and then no more");
                    break;
                }
                got.addAll(more);
            }
            got.removeIf(body -> body.startsWith("last of "));
            run.see("tags", "expression", expressions[i], "bodies", got);
        }
    }

    private static final String[] EXPRESSIONS = {
        "temperature > 20", "temperature >= 21.5", "temperature < 20", "temperature <= -3", "temperature = 20", "temperature <> 20",
        "temperature BETWEEN 0 AND 21.5", "temperature NOT BETWEEN 0 AND 21.5", "temperature between -10 and 0",
        "unit = 'C'", "unit <> 'C'", "unit IN ('C', 'K')", "unit NOT IN ('C')", "unit IS NULL", "unit IS NOT NULL",
        "unit = 'it''s'", "alarm = TRUE", "alarm = false", "alarm <> TRUE", "TRUE", "FALSE",
        "unit = 'C' AND temperature > 20", "unit = 'C' OR alarm = TRUE", "NOT (unit = 'C')", "NOT (temperature > 20)",
        "temperature > 20 OR missing = 1", "temperature > 20 AND missing = 1", "NOT (missing = 1)", "missing IS NULL",
        "a = 'x' OR a = 'y' AND b = 'z'", "(a = 'x' OR a = 'y') AND b = 'z'",
        "place CONTAINS 'hall'", "place NOT CONTAINS 'hall'", "place STARTSWITH 'north'", "place NOT STARTSWITH 'north'",
        "place ENDSWITH '3'", "place NOT ENDSWITH '3'", "TAGS = 'red'", "TAGS IN ('red', 'blue') AND temperature > 0",
        "KEYS = 'k1'", "unit > 'A'", "temperature = '20'", "unit = 5", "big > 9223372036854775806", "big = 9223372036854775807",
        "small = 1e-3", "small = 0.001", "temperature > 2.0E1", "temperature = 20L", "temperature -- comment\n > 20",
        "temperature /* comment */ > 20", "_under = '1'", "$dollar = '1'", "Temperature > 20", "temperature > other",
        "temperature is not null and (unit = 'C' or unit = 'F') and not (alarm = true)", "20 < temperature", "'C' = unit",
        "- temperature > 0", "temperature > -5", "temperature > +5",
    };

    private static final String[] WRONG = {
        "", "   ", "temperature >", "temperature", "temperature + 1 > 2", "unit LIKE 'C%'", "unit IN (1, 2)", "unit IN ()", "unit = \"C\"", "(unit = 'C'",
        "unit = 'C", "temperature BETWEEN 20 AND 10", "temperature BETWEEN 20", "unit == 'C'", "unit != 'C'", "place CONTAINS ''", "alarm > TRUE",
        "'C' IN ('C')", "5 = 5", "NULL", "1", "temperature > 99999999999999999999", "AND", "unit = 'C' unit = 'C'", "place CONTAINS 3", "a.b = 1", "größe = 1",
    };

    /** What every message is about; the body is its place in the queue. */
    private static void readings(Run run, String topic) throws Exception {
        DefaultMQProducer producer = run.producer();
        String[][] readings = {
            {"temperature", "20", "unit", "C", "alarm", "true", "place", "hall 3", "a", "x", "b", "z"},
            {"temperature", "21.5", "unit", "K", "alarm", "false", "place", "north hall", "a", "y", "b", "z"},
            {"temperature", "-3", "unit", "C", "alarm", "TRUE", "place", "north 3", "a", "y", "b", "w"},
            {"temperature", "hot", "unit", "it's", "alarm", "maybe", "place", "", "a", "x"},
            {"big", "9223372036854775807", "small", "0.001", "_under", "1", "$dollar", "1"},
            {},
        };
        String[] tags = {"red", "blue", "red", null, "blue", null};
        for (int i = 0; i < readings.length; i++) {
            Message message = Run.message(topic, tags[i], String.valueOf(i));
            message.setKeys("k" + i);
            for (int j = 0; j < readings[i].length; j += 2) {
                if (!readings[i][j + 1].isEmpty()) {
                    message.putUserProperty(readings[i][j], readings[i][j + 1]);
                }
            }
            producer.send(message);
        }
    }

    private static void sql(Run run) throws Exception {
        String topic = run.topic(1);
        readings(run, topic);
        DefaultMQPullConsumer consumer = run.pull(run.group(""));
        MessageQueue queue = consumer.fetchSubscribeMessageQueues(topic).iterator().next();
        Run.until(10, () -> consumer.maxOffset(queue) == 6);
        // The client knows from the answer to its heartbeat that the broker has filters.
        Run.until(30, () -> consumer.pull(queue, MessageSelector.bySql("TRUE"), 0, 32) != null);
        for (String[] some : new String[][] {EXPRESSIONS, WRONG}) {
            for (String expression : some) {
                run.attempt("sql: " + expression, () -> {
                    List<String> bodies = new ArrayList<>();
                    for (long offset = 0; offset < 6; ) {
                        PullResult got = consumer.pull(queue, MessageSelector.bySql(expression), offset, 32);
                        if (got.getPullStatus() == PullStatus.FOUND) {
                            bodies.addAll(Facts.bodies(got.getMsgFoundList()));
                        }
                        if (got.getNextBeginOffset() <= offset) {
                            break;
                        }
                        offset = got.getNextBeginOffset();
                    }
                    return bodies;
                });
            }
        }
    }

    private static void sqlPush(Run run) throws Exception {
        String topic = run.topic(1);
        readings(run, topic);
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = run.push(run.group(""));
        consumer.subscribe(topic, MessageSelector.bySql("temperature > 0 AND unit IS NOT NULL"));
        consumer.registerMessageListener(inbox);
        consumer.start();
        run.see("consumed", "bodies", Facts.bodies(inbox.takeAll(1, 40)));
        Message message = Run.message(topic, "", "later");
        message.putUserProperty("temperature", "5");
        message.putUserProperty("unit", "F");
        run.producer(run.group("_later")).send(message);
        run.see("consumed later", "bodies", Facts.bodies(inbox.takeAll(1, 40)));
        for (int i = 0; i < WRONG.length; i++) {
            DefaultMQPushConsumer wrong = run.push(run.group("_wrong" + i));
            String expression = WRONG[i];
            run.attempt("checked: " + expression, () -> {
                wrong.subscribe(topic, MessageSelector.bySql(expression));
                wrong.registerMessageListener(new Inbox());
                wrong.start();
                wrong.shutdown();
                return "started";
            });
        }
    }
}
