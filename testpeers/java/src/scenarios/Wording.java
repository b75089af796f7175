package scenarios;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Replaces what differs by nature between two runs. */
final class Wording {
    private static final Pattern ADDRESS = Pattern.compile("/?\\d{1,3}(\\.\\d{1,3}){3}:\\d+");
    private static final Pattern ID = Pattern.compile("\\b([0-9A-F]{32}|[0-9A-F]{56})\\b");
    private static final Pattern TIME = Pattern.compile("\\b1[6-9]\\d{11}\\b");
    private static final Pattern UUID = Pattern.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}");

    private Wording() {
    }

    static String plain(String text, String suffix) {
        text = text.replace(suffix, "");
        text = replace(ADDRESS, text, "<address>");
        text = replace(ID, text, "<id>");
        text = replace(UUID, text, "<uuid>");
        return replace(TIME, text, "<time>");
    }

    private static String replace(Pattern pattern, String text, String by) {
        return pattern.matcher(text).replaceAll(Matcher.quoteReplacement(by));
    }
}
