import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.apache.rocketmq.filter.SqlFilter;
import org.apache.rocketmq.filter.expression.EvaluationContext;
import org.apache.rocketmq.filter.expression.Expression;

/**
 * Reads cases from standard input, one a line: expression TAB name=value TAB name=value …, where \t, \n,
 * \r and \\ stand for themselves. Writes each with what Apache RocketMQ's own filter says of it before it:
 * T true, F false, U unknown, X evaluation failed, E the expression is refused.
 */
public class Oracle {
    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (String line; (line = in.readLine()) != null; ) {
            if (line.isEmpty() || line.startsWith("#")) {
                continue;
            }
            String[] parts = line.split("\t", -1);
            Map<String, String> properties = new HashMap<>();
            for (int i = 1; i < parts.length; i++) {
                int at = parts[i].indexOf('=');
                properties.put(plain(parts[i].substring(0, at)), plain(parts[i].substring(at + 1)));
            }
            out.println(verdict(plain(parts[0]), properties) + "\t" + line);
        }
        out.flush();
    }

    static char verdict(String text, Map<String, String> properties) {
        Expression expression;
        try {
            expression = new SqlFilter().compile(text);
        } catch (Throwable refused) {
            return 'E';
        }
        try {
            Object result = expression.evaluate(new EvaluationContext() {
                @Override
                public Object get(String name) {
                    return properties.get(name);
                }

                @Override
                public Map<String, Object> keyValues() {
                    return new HashMap<>(properties);
                }
            });
            return result == null ? 'U' : Boolean.TRUE.equals(result) ? 'T' : Boolean.FALSE.equals(result) ? 'F' : 'O';
        } catch (Throwable failed) {
            return 'X';
        }
    }

    static String plain(String text) {
        StringBuilder b = new StringBuilder();
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '\\' && i + 1 < text.length()) {
                c = text.charAt(++i);
                c = c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c;
            }
            b.append(c);
        }
        return b.toString();
    }
}
