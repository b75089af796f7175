package scenarios;

/** One way in which clients use a broker. */
@FunctionalInterface
public interface Scenario {
    void play(Run run) throws Exception;
}
