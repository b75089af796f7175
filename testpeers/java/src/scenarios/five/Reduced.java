package scenarios.five;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;

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
        {"spentTimeMills=\\d+", "spentTimeMills=<n>"},
    };

    // Answers about everything: what is compared of them are the lines of these names. How many queues a topic gets and
    // how large a message may be are settings, and not the same ones here and there.
    private static final List<String> BROKER_CONFIG = Arrays.asList("brokerName", "brokerClusterName", "brokerId", "brokerRole",
        "brokerPermission", "autoCreateTopicEnable", "autoCreateSubscriptionGroup", "messageDelayLevel");

    // Levels have a figure once somebody used them; the last two are there for tools of earlier versions alone.
    private static final Pattern NOT_EVERYWHERE = Pattern.compile("scheduleMessageOffset_.*|brokerVersion|getTransferedTps");

    // A broker that is still young prints fewer numbers than three.
    private static final Pattern RATES = Pattern.compile("(put|getFound|getMiss|getTotal|getTransferred)Tps");

    static List<String> lines(String command, List<String> printed, String ours) {
        if (command.equals("brokerStatus")) {
            return kinds(printed);
        }
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
        // A group's retries, while there are none, are listed from when its consumer commits that: every few seconds.
        lines.removeIf(line -> line.matches("%RETRY%\\S+( \\S*G_\\S+)? \\S+ 0 0 0 0( 0)? \\S+"));
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
            case "queryMsgById":
            case "queryMsgByUniqueKey":
            case "queryMsgByOffset":
                return tracksApart(lines);
            case "allocateMQ":
                // Who gets which queue is up to the tool, which reads them from a hash table.
                lines.replaceAll(line -> line.replaceAll("\"queueId\":\\d+", "\"queueId\":<n>"));
                return lines;
            case "statsAll":
                // What a day had is counted from one sample to the next.
                lines.replaceAll(line -> line.replaceAll(" \\d+ \\d+$", " <n> <n>"));
                lines.sort(null);
                return lines;
            case "consumerConnection":
            case "printMsg":
            case "resetOffsetByTime":
            case "skipAccumulatedMessage":
                // The tool reads groups and queues from a hash table, whose order the names decide.
                lines.sort(null);
                return lines;
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

    /** What became of a message, one line a group, at the end and by name: the tool reads the groups from a hash table. */
    private static List<String> tracksApart(List<String> lines) {
        List<String> tracks = new ArrayList<>();
        List<String> others = new ArrayList<>();
        for (String line : lines) {
            for (String part : line.split("(?<=.)(?=MessageTrack \\[)")) {
                (part.startsWith("MessageTrack [") ? tracks : others).add(part);
            }
        }
        tracks.sort(null);
        others.addAll(tracks);
        return others;
    }

    /** The names of a broker's figures, with what sort of value each has; files' names are nobody's business. */
    private static List<String> kinds(List<String> printed) {
        Map<String, String> kinds = new TreeMap<>();
        for (String line : printed) {
            String[] pair = line.trim().split("\\s*: ", 2);
            if (pair.length == 2 && !pair[0].contains("/") && !NOT_EVERYWHERE.matcher(pair[0]).matches()) {
                kinds.put(pair[0], RATES.matcher(pair[0]).matches() ? "rates" : pair[1].matches("[0-9.E-]+") ? "number" : "words");
            }
        }
        List<String> all = new ArrayList<>();
        kinds.forEach((name, kind) -> all.add(name + ": " + kind));
        return all;
    }
}
