import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.zip.CRC32C;

/**
 * A Java program whose heap is full of data that it has checksums of.
 *
 * <p>HeapTarget DIR THREADS SLOTS: answers each command (see control_file.h for
 * the files) after its threads have replaced and checked data, and have made
 * garbage, several times, with full collections in between.
 */
public final class HeapTarget {
  private static final int ROUNDS = 3;
  private static final int LARGE_BYTES = 3 << 20; // Regions of its own in G1.

  /** Data that follow from their seed, and refer to their neighbour. */
  private static final class Item {
    final long seed;
    final int checksum;
    final byte[] data;
    Item neighbour;

    Item(long seed, int length) {
      this.seed = seed;
      data = new byte[length];
      new SplittableRandom(seed).nextBytes(data);
      checksum = checksumOf(data);
    }

    static int checksumOf(byte[] data) {
      CRC32C crc = new CRC32C();
      crc.update(data);
      return (int) crc.getValue();
    }

    void check(String where) {
      if (checksumOf(data) == checksum) return;
      byte[] wanted = new byte[data.length];
      new SplittableRandom(seed).nextBytes(wanted);
      for (int i = 0; i < data.length; ++i) {
        if (data[i] != wanted[i]) {
          throw new IllegalStateException(where + ": byte " + i + " of " + data.length
              + " is " + data[i] + ", not " + wanted[i]);
        }
      }
      throw new IllegalStateException(where + ": the checksum itself is wrong");
    }
  }

  /** What one thread looks after. */
  private static final class Part {
    final int number;
    final Item[] items;
    final SplittableRandom random;
    long replaced;

    Part(int number, int slots) {
      this.number = number;
      items = new Item[slots];
      random = new SplittableRandom(number);
      for (int i = 0; i < slots; ++i) replace(i);
    }

    void replace(int slot) {
      int length = slot % 2000 == 0 ? LARGE_BYTES : random.nextInt(64, 8000);
      Item item = new Item(random.nextLong(), length);
      Item next = items[(slot + 1) % items.length];
      item.neighbour = next == null ? item : next;
      items[slot] = item;
      Item before = items[Math.floorMod(slot - 1, items.length)];
      if (before != null) before.neighbour = item;
      ++replaced;
    }

    void check() {
      for (int i = 0; i < items.length; ++i) {
        String where = "part " + number + ", item " + i;
        items[i].check(where);
        if (items[i].neighbour != items[(i + 1) % items.length] && i + 1 < items.length) {
          throw new IllegalStateException(where + ": wrong neighbour");
        }
      }
    }

    void churn() {
      for (int i = 0; i < items.length / 4; ++i) replace(random.nextInt(items.length));
      long sum = 0;
      for (int i = 0; i < 20_000; ++i) sum += new byte[random.nextInt(16, 4000)].length;
      if (sum == 0) throw new IllegalStateException("no garbage was made");
    }
  }

  private final List<Part> parts = new ArrayList<>();
  private final ExecutorService threads;

  private HeapTarget(int threads, int slots) {
    this.threads = Executors.newFixedThreadPool(threads);
    for (int i = 0; i < threads; ++i) parts.add(new Part(i, slots));
  }

  private String obey() throws Exception {
    for (int round = 0; round < ROUNDS; ++round) {
      List<Callable<Void>> work = new ArrayList<>();
      for (Part part : parts) {
        work.add(() -> {
          part.churn();
          part.check();
          return null;
        });
      }
      for (Future<Void> done : threads.invokeAll(work)) done.get();
      System.gc();
    }
    long replaced = 0;
    for (Part part : parts) {
      part.check();
      replaced += part.replaced;
    }
    Runtime runtime = Runtime.getRuntime();
    return "OK replaced=" + replaced + " heap=" + (runtime.totalMemory() >> 20)
        + "MiB used=" + (runtime.totalMemory() - runtime.freeMemory() >> 20) + "MiB";
  }

  public static void main(String[] arguments) throws Exception {
    HeapTarget target = new HeapTarget(Integer.parseInt(arguments[1]),
        Integer.parseInt(arguments[2]));
    new ControlFolder(Path.of(arguments[0])).answerCommands(target::obey);
  }
}
