import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * A Java program with a map in its heap that answers queries.
 *
 * <p>QueryTarget DIR ENTRIES QUERIES: answers each command (see control_file.h
 * for the files) with what so many entries hold, looked up in an order that
 * looks random, the same each time.
 */
public final class QueryTarget {
  private final Map<String, byte[]> entries = new HashMap<>();
  private final int[] asked;

  private QueryTarget(int count, int queries) {
    for (int i = 0; i < count; ++i) entries.put(keyOf(i), valueOf(i));
    asked = new SplittableRandom(count).ints(queries, 0, count).toArray();
    System.gc(); // What is restored is data and not garbage.
  }

  private static String keyOf(int i) {
    return "key:" + i;
  }

  private static byte[] valueOf(int i) {
    byte[] value = new byte[500 + i * 7 % 1500];
    new SplittableRandom(i).nextBytes(value);
    return value;
  }

  private String obey() {
    for (int i : asked) {
      if (!Arrays.equals(entries.get(keyOf(i)), valueOf(i))) return "WRONG entry " + i;
    }
    return "OK entries=" + asked.length;
  }

  public static void main(String[] arguments) throws Exception {
    QueryTarget target = new QueryTarget(Integer.parseInt(arguments[1]),
        Integer.parseInt(arguments[2]));
    new ControlFolder(Path.of(arguments[0])).answerCommands(target::obey);
  }
}
