import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.concurrent.Callable;

/** What control_file.h is to targets in C++. */
final class ControlFolder {
  private static final int POLL_MILLISECONDS = 20;

  private final Path path;

  ControlFolder(Path path) {
    this.path = path;
  }

  /** Answers command 0, and each other with what {@code obey} then says. */
  void answerCommands(Callable<String> obey) throws Exception {
    answer(0, "OK filled");
    for (int command = 0;;) {
      command = waitForCommandAfter(command);
      String text;
      try {
        text = obey.call();
      } catch (Throwable error) { // A damaged heap can raise anything.
        text = "WRONG " + error;
      }
      answer(command, text.replace('\n', ' '));
    }
  }

  private void answer(int command, String text) throws IOException {
    Path draft = path.resolve("result.draft");
    Files.writeString(draft, command + " " + text + "\n");
    Files.move(draft, path.resolve("result"), StandardCopyOption.ATOMIC_MOVE);
  }

  private int waitForCommandAfter(int previous) throws Exception {
    Path command = path.resolve("command");
    while (true) {
      if (Files.exists(command)) {
        int number = Integer.parseInt(Files.readString(command).trim());
        if (number > previous) return number;
      }
      Thread.sleep(POLL_MILLISECONDS);
    }
  }
}
