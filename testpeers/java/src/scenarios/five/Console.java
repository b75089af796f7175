package scenarios.five;

import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.util.Arrays;
import java.util.List;
import org.apache.rocketmq.remoting.RPCHook;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/**
 * Runs commands of mqadmin in their order. At the end of each the client takes up to three seconds to put
 * itself away; the next does not wait for that.
 */
final class Console implements AutoCloseable {
    private final PrintStream[] real = {System.out, System.err};
    private final InheritableThreadLocal<ByteArrayOutputStream> writing = new InheritableThreadLocal<>();

    /** From here on, what a command prints is the command's. */
    Console() {
        System.setOut(new PrintStream(new Switch(real[0]), true));
        System.setErr(new PrintStream(new Switch(real[1]), true));
    }

    /** A command that has been run, and may be putting its client away. */
    static final class Command {
        final String[] words;
        private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        private Thread thread;

        private Command(String[] words) {
            this.words = words;
        }

        List<String> printed() throws Exception {
            thread.join(60_000);
            if (thread.isAlive()) {
                throw new IllegalStateException(words[0] + " does not end");
            }
            return Arrays.asList(bytes.toString("UTF-8").split("\n"));
        }

        /** Whether it has asked whatever it asks. */
        private boolean asked() {
            for (StackTraceElement at : thread.getStackTrace()) {
                if (at.getMethodName().equals("shutdown") && at.getClassName().endsWith(".MQClientInstance")) {
                    return true;
                }
            }
            return !thread.isAlive();
        }
    }

    Command play(String nameServer, RPCHook keys, String... words) throws Exception {
        String[] args = Arrays.copyOf(words, words.length + 2);
        args[words.length] = "-n";
        args[words.length + 1] = nameServer;
        Command command = new Command(words);
        command.thread = new Thread(() -> {
            writing.set(command.bytes);
            MQAdminStartup.main0(args, keys);
        });
        command.thread.start();
        scenarios.Run.until(60, command::asked);
        return command;
    }

    @Override
    public void close() {
        System.setOut(real[0]);
        System.setErr(real[1]);
    }

    /** Writes for whom it is called. */
    private final class Switch extends OutputStream {
        private final OutputStream otherwise;

        Switch(OutputStream otherwise) {
            this.otherwise = otherwise;
        }

        private OutputStream current() {
            ByteArrayOutputStream bytes = writing.get();
            return bytes == null ? otherwise : bytes;
        }

        @Override
        public void write(int b) throws java.io.IOException {
            current().write(b);
        }

        @Override
        public void write(byte[] b, int from, int count) throws java.io.IOException {
            current().write(b, from, count);
        }
    }
}
