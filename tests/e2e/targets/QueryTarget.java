import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
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
  private static final int POLL_MILLISECONDS = 20;

  private final Path directory;
  private final Map<String, byte[]> entries = new HashMap<>();
  private final int[] asked;

  private QueryTarget(Path directory, int count, int queries) {
    this.directory = directory;
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

  private void answer(int command, String text) throws IOException {
    Path draft = directory.resolve("result.draft");
    Files.writeString(draft, command + " " + text + "\n");
    Files.move(draft, directory.resolve("result"), StandardCopyOption.ATOMIC_MOVE);
  }

  private int waitForCommandAfter(int previous) throws IOException, InterruptedException {
    Path file = directory.resolve("command");
    while (true) {
      if (Files.exists(file)) {
        int number = Integer.parseInt(Files.readString(file).trim());
        if (number > previous) return number;
      }
      Thread.sleep(POLL_MILLISECONDS);
    }
  }

  public static void main(String[] arguments) throws Exception {
    QueryTarget target = new QueryTarget(Path.of(arguments[0]),
        Integer.parseInt(arguments[1]), Integer.parseInt(arguments[2]));
    target.answer(0, "OK filled");
    for (int command = 0;;) {
      command = target.waitForCommandAfter(command);
      String text;
      try {
        text = target.obey();
      } catch (Throwable error) { // A damaged heap can raise anything.
        text = "WRONG " + error;
      }
      target.answer(command, text.replace('\n', ' '));
    }
  }
}
