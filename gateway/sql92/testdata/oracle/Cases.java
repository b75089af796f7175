import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Random;

/** Writes random cases for Oracle.java, always the same ones for a count. */
public class Cases {
    static final Random RANDOM = new Random(92);
    static final String[] NAMES = {"a", "b", "c", "d"};
    static final String[] NUMBERS = {"0", "1", "2", "3", "10", "-1", "2147483647", "2147483648", "5L", "0.5", "1.0", "2.5", "1e1"};
    static final String[] TEXTS = {"", "x", "xy", "xyz", "1", "2.5", "true", "it''s"};
    static final String[] VALUES = {"", "x", "xy", "xyz", "yz", "0", "1", "2", "3", "10", "-1", "2147483648", "0.5", "1.0", "2.5", "1e1", "NaN", "true", "FALSE", "it's"};

    public static void main(String[] args) {
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (int i = Integer.parseInt(args[0]); i > 0; i--) {
            StringBuilder line = new StringBuilder(RANDOM.nextInt(25) == 0 ? broken(truth(2)) : truth(1 + RANDOM.nextInt(3)));
            for (String name : NAMES) {
                if (RANDOM.nextInt(3) > 0 && line.indexOf(name) >= 0) {
                    line.append('\t').append(name).append('=').append(any(VALUES));
                }
            }
            out.println(line);
        }
        out.flush();
    }

    static String any(String... of) {
        return of[RANDOM.nextInt(of.length)];
    }

    static String text() {
        return "'" + any(TEXTS) + "'";
    }

    /** Mostly what can be true or false. */
    static String truth(int depth) {
        if (depth > 0 && RANDOM.nextInt(3) > 0) {
            switch (RANDOM.nextInt(7)) {
                case 0: case 1: return truth(depth - 1) + any(" AND ", " and ") + truth(depth - 1);
                case 2: case 3: return truth(depth - 1) + any(" OR ", " Or ") + truth(depth - 1);
                case 4: return any("NOT (", "not (", "(", "((") + truth(depth - 1) + any(")", ")", "))");
                case 5: return "(" + truth(depth - 1) + ")" + any(" = ", " <> ", " IS NULL AND ") + truth(depth - 1);
                default: return "NOT " + truth(depth - 1);
            }
        }
        String left = RANDOM.nextInt(8) == 0 ? operand() : any(NAMES);
        switch (RANDOM.nextInt(16)) {
            case 0: case 1: case 2: return left + any(" = ", "=", " <> ", "<>") + operand();
            case 3: case 4: case 5: return left + any(" > ", " >= ", "<", " <= ") + number();
            case 6: case 7: return left + any(" IS NULL", " IS NOT NULL", " is not null");
            case 8: case 9: return left + any(" BETWEEN ", " NOT BETWEEN ") + number() + " AND " + number();
            case 10: case 11: return left + any(" IN (", " NOT IN (") + text() + any("", ", " + text(), "," + text()) + ")";
            case 12: case 13: return left + any(" ", " NOT ") + any("CONTAINS ", "STARTSWITH ", "ENDSWITH ") + text();
            case 14: return any("TRUE", "FALSE", "NULL", any(NAMES));
            default: return left;
        }
    }

    /** Mostly a number or a property. */
    static String number() {
        return RANDOM.nextInt(20) == 0 ? operand() : any(any(NAMES), any(NUMBERS), any(NUMBERS), any("-", "+", "- ") + any(NUMBERS));
    }

    static String operand() {
        switch (RANDOM.nextInt(14)) {
            case 0: case 1: case 2: case 3: case 4: return any(NAMES);
            case 5: case 6: case 7: return any(NUMBERS);
            case 8: case 9: case 10: return text();
            case 11: return any("TRUE", "FALSE");
            case 12: return RANDOM.nextInt(3) == 0 ? "NULL" : any(NAMES);
            default: return any("-", "+", "-1 + ", "/* */") + any(any(NAMES), any(NUMBERS), text());
        }
    }

    /** One character is gone, doubled or another. */
    static String broken(String text) {
        int at = RANDOM.nextInt(text.length());
        return text.substring(0, at) + any("", " ", "'", "(", ")", ",", "-", "=", "%", text.charAt(at) + "" + text.charAt(at)) + text.substring(at + 1);
    }
}
