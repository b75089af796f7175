package scenarios;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Plays scenarios with the stock client against whatever name server it is given, and prints what it sees,
 * one line of JSON an observation: {"saw":…,"scenario":…,"with":{…}}. What differs by nature between two
 * runs (times, ids, addresses, the suffix of topics and groups) is replaced by what it is.
 *
 * <p>{@code java scenarios.Scenarios NAMESRV all|NAME,NAME… [accessKey secretKey]}; {@code list} in place of a
 * name server prints the names.
 */
public final class Scenarios {
    // These move so many bytes that others would run into their time-outs, or catch what is printed.
    private static final List<String> ALONE = Arrays.asList("tls", "bodies", "refusals", "mqadmin");

    private Scenarios() {
    }

    public static void main(String[] args) throws Exception {
        Generation generation = Generation.find();
        Map<String, Scenario> all = all(generation);
        if (args[0].equals("list")) {
            all.keySet().forEach(System.out::println);
            return;
        }
        List<String> names = new ArrayList<>();
        for (String name : args[1].split(",")) {
            if (!all.containsKey(name)) {
                System.err.println("no such scenario: " + name);
                System.exit(2);
            }
            names.add(name);
        }
        String suffix = "_" + Long.toString(System.currentTimeMillis(), 36);
        boolean well = true;
        Stalls.watch();
        try (Server server = new Server(generation, args)) {
            ExecutorService players = Executors.newFixedThreadPool(Integer.getInteger("parallel", 6));
            List<Future<Boolean>> ends = new ArrayList<>();
            for (String name : names) {
                if (!ALONE.contains(name)) {
                    ends.add(players.submit(() -> play(new Run(server, name, suffix), all.get(name))));
                }
            }
            for (Future<Boolean> end : ends) {
                well &= end.get();
            }
            for (String name : names) {
                if (ALONE.contains(name)) {
                    well &= play(new Run(server, name, suffix), all.get(name));
                }
            }
            System.out.flush();
            // Clients that a scenario left behind do not keep the machine from ending.
            System.exit(well ? 0 : 1);
        }
    }

    private static Map<String, Scenario> all(Generation generation) {
        Map<String, Scenario> all = new LinkedHashMap<>();
        // The slow ones first, since they are played side by side.
        Offsets.add(all);
        Transactions.add(all);
        Delays.add(all);
        all.putAll(generation.more());
        Groups.add(all);
        Retries.add(all);
        Traces.add(all);
        Sending.add(all);
        Pushing.add(all);
        Pulling.add(all);
        Filters.add(all);
        Replies.add(all);
        Queries.add(all);
        Bodies.add(all);
        Refusals.add(all);
        Access.add(all);
        Mqtt.add(all);
        return all;
    }

    private static boolean play(Run run, Scenario scenario) {
        boolean well = true;
        long began = System.nanoTime();
        try {
            scenario.play(run);
        } catch (Throwable wrong) {
            well = false;
            synchronized (System.err) {
                System.err.println(run.scenario + ":");
                wrong.printStackTrace();
            }
            run.see("failed", "error", String.valueOf(wrong));
        }
        System.err.printf("%s took %d ms%n", run.scenario, (System.nanoTime() - began) / 1_000_000);
        run.close();
        return well;
    }
}
