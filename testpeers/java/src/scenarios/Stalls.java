package scenarios;

/** Watches for how long this machine lets nobody run. */
final class Stalls {
    private static final long NAP = 50;
    private static volatile long longest;

    private Stalls() {
    }

    /** The longest that a thread had to wait for its turn so far, in milliseconds. */
    static long longest() {
        return longest;
    }

    static void watch() {
        Thread watching = new Thread(() -> {
            try {
                for (;;) {
                    long began = System.nanoTime();
                    Thread.sleep(NAP);
                    longest = Math.max(longest, (System.nanoTime() - began) / 1_000_000 - NAP);
                }
            } catch (InterruptedException ended) {
                Thread.currentThread().interrupt();
            }
        }, "stalls");
        watching.setDaemon(true);
        watching.start();
    }
}
