package scenarios.five;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** What of a command's words can be compared between two brokers. */
final class Reduced {
    private Reduced() {
    }

    // What numbers are when they depend on the moment, the machine or the place in the log.
    private static final String[][] MOMENTARY = {
        {"\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d(,\\d{3})?", "<time>"},
        {"TPS: [0-9.]+", "TPS: <n>"},
        {"(CommitLog Offset: |commitLogOffset=|physicOffset=)\\d+", "$1<position>"},
        {"@\\d+$", "@<position>"},
        {" \\d+\\.\\d\\d(?= |$)", " <n>"},
        {"OK, \\d+", "OK, <n>"},
        {"DESC: .*", "DESC"},
        {"result: \\d+ms", "result: <n>ms"},
    };

    // Answers about everything: what is compared of them are the lines of these names.
    private static final List<String> BROKER_CONFIG = Arrays.asList("brokerName", "brokerClusterName", "brokerId", "brokerRole",
        "brokerPermission", "autoCreateTopicEnable", "autoCreateSubscriptionGroup", "defaultTopicQueueNums", "messageDelayLevel", "maxMessageSize");

    static List<String> lines(String command, List<String> printed, String ours) {
        List<String> lines = new ArrayList<>();
        for (String line : printed) {
            line = line.trim().replaceAll("\\s+", " ");
            if (line.isEmpty() || line.startsWith("at ") || line.startsWith("See http") || line.startsWith("For more information") || line.startsWith("...")) {
                continue;
            }
            for (String[] rule : MOMENTARY) {
                line = line.replaceAll(rule[0], rule[1]);
            }
            lines.add(line);
        }
        switch (command) {
            case "topicList":
            case "brokerConsumeStats":
                lines.removeIf(line -> !line.startsWith("#") && !line.contains(ours));
                lines.sort(null);
                return lines;
            case "clusterList":
                // Loads and times, between the address and whether the broker is active.
                lines.replaceAll(line -> line.replaceAll("^(\\S+ \\S+ \\d+ \\S+) .* (\\S+)$", "$1 $2"));
                return lines;
            case "brokerStatus":
                return kinds(lines);
            case "getBrokerConfig":
                lines.removeIf(line -> !BROKER_CONFIG.contains(line.split(" ")[0]));
                lines.sort(null);
                return lines;
            case "getNamesrvConfig":
                return lines.subList(0, Math.min(1, lines.size()));
            default:
                return lines;
        }
    }

    /** The names of a broker's figures, with what sort of value each has; files' names are nobody's business. */
    private static List<String> kinds(List<String> lines) {
        Map<String, String> kinds = new TreeMap<>();
        for (String line : lines) {
            String[] pair = line.split(" ?: ", 2);
            if (pair.length == 2 && !pair[0].contains("/")) {
                kinds.put(pair[0], pair[1].matches("[0-9.E-]+|<time>") ? "number" : pair[1].matches("[0-9.E-]+( [0-9.E-]+){2}") ? "three numbers" : "words");
            }
        }
        List<String> all = new ArrayList<>();
        kinds.forEach((name, kind) -> all.add(name + ": " + kind));
        return all;
    }
}
