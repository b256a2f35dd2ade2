// What the benchmark checkpoints: a process whose every page is known, and
// which tells how long it waited for them.
//
//   touch_target --state DIR [--mib 256] [--seed 1]
//
// Fills private anonymous memory, answers command 0, and then does what the
// file DIR/command says: "<number> sequential", "<number> random <seed>
// [<count>]" (touches all pages once, or only so many, in that order),
// "<number> verify" (reads every byte), or "<number> pause" (tells what was the
// longest time between two looks at the file since the command before). Answers
// in DIR/result with the number and a JSON object; see control_file.h.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "lib/base/command_line.h"
#include "tests/bench/page_touching.h"
#include "tests/e2e/targets/control_file.h"
#include "tests/e2e/targets/pattern.h"

namespace pagelift::bench {
namespace {

// Short, so that a restored target goes to work at once.
constexpr useconds_t kPollMicroseconds = 500;
constexpr size_t kMebibytePages = (size_t{1} << 20) / e2e::kPageBytes;

struct Command {
  unsigned long long number = 0;
  char verb[16] = "";
  unsigned long long seed = 0;
  unsigned long long count = ~0ULL;  // Of pages, at most.
};

// Without memory of the heap: waiting must not touch pages that are not there.
Command WaitForCommandAfter(unsigned long long previous, const char* path,
                            uint64_t* longest_pause) {
  *longest_pause = 0;
  // Not the monotonic clock, which CRIU has go on from where it was.
  uint64_t looked_at = RealtimeNanoseconds();
  for (;; usleep(kPollMicroseconds)) {
    const uint64_t now = RealtimeNanoseconds();
    *longest_pause = std::max(*longest_pause, now - looked_at);
    looked_at = now;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    char text[100];
    const ssize_t length = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (length <= 0) continue;
    text[length] = '\0';
    Command command;
    const int fields = std::sscanf(text, "%llu %15s %llu %llu", &command.number,
                                   command.verb, &command.seed, &command.count);
    if (fields >= 2 && command.number > previous) return command;
  }
}

std::string Obey(const Command& command, const std::byte* memory, size_t pages,
                 uint64_t seed) {
  const std::string verb = command.verb;
  if (verb == "verify") {
    return "{\"wrong_pages\": " +
           std::to_string(CountWrongPages(memory, pages, seed)) + "}";
  }
  std::vector<uint32_t> order = verb == "random"
                                    ? ShuffledOrder(pages, command.seed)
                                    : SequentialOrder(pages);
  order.resize(std::min<size_t>(order.size(), command.count));
  const TouchReport report = TouchPages(memory, order, seed);
  return "{" + report.ToJsonMembers() + "}";
}

[[noreturn]] void Run(const std::string& state, size_t mib, uint64_t seed) {
  const e2e::ControlFolder control(state);
  control.TakeOverStandardStreams();
  const size_t pages = mib * kMebibytePages;
  void* mapped = mmap(nullptr, pages * e2e::kPageBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED ||
      madvise(mapped, pages * e2e::kPageBytes, MADV_NOHUGEPAGE) != 0) {
    std::perror("mmap");
    std::_Exit(70);
  }
  std::byte* memory = static_cast<std::byte*>(mapped);
  FillPages(memory, pages, seed);
  const std::string path = state + "/command";
  control.Answer(0, "{}");
  for (Command command;;) {
    uint64_t pause = 0;
    command = WaitForCommandAfter(command.number, path.c_str(), &pause);
    control.Answer(command.number,
                   std::string(command.verb) == "pause"
                       ? "{\"nanoseconds\": " + std::to_string(pause) + "}"
                       : Obey(command, memory, pages, seed));
  }
}

}  // namespace
}  // namespace pagelift::bench

int main(int argc, char* argv[]) {
  std::string state;
  uint64_t mib = 256;
  uint64_t seed = 1;
  pagelift::CommandLine line("touch_target", "Is checkpointed and restored.");
  line.Add({"state", 0, "DIR", "where commands and results are", &state});
  line.Add({"mib", 0, "N", "how much memory", &mib});
  line.Add({"seed", 0, "N", "of the contents", &seed});
  if (std::optional<int> exit_code = line.ParseOrExitCode(argc, argv)) {
    return *exit_code;
  }
  if (state.empty() || mib == 0) return line.Complain("--state DIR is needed");
  pagelift::bench::Run(state, mib, seed);
}
