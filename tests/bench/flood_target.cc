// A hostile neighbour: a process that floods whoever serves its memory with
// events, or only computes.
//
//   flood_target --mode MODE [--threads N] [--mib N]
//
// Fills its memory, says "ready", and begins when it gets SIGUSR1, until it is
// killed. MODE:
//   compute  takes processors, and nothing else: what any neighbour may do
//   remove   gives one page after the other back, as fast as it can
//   fork     has children that end at once, as fast as it can
//   bomb     has children that live on, as many as it may

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/command_line.h"

namespace {

constexpr size_t kPage = 4096;

struct Memory {
  char* first;
  size_t pages;
};

void Compute() {
  for (std::atomic<uint64_t> count{0};; ++count) {
  }
}

// Only of the first half, so that its memory never is complete.
void Remove(Memory memory, unsigned seed) {
  std::minstd_rand random(seed);
  while (true) {
    char* const page = memory.first + random() % (memory.pages / 2) * kPage;
    madvise(page, kPage, MADV_DONTNEED);
  }
}

void Fork() {
  while (true) {
    const pid_t child = fork();
    if (child == 0) _exit(0);
    if (child > 0) waitpid(child, nullptr, 0);
  }
}

void Bomb() {
  while (true) {
    const pid_t child = fork();
    if (child == 0) {
      while (true) pause();
    }
    if (child < 0) usleep(1000);
  }
}

}  // namespace

int main(int argc, char* argv[]) {
  std::string mode;
  uint64_t threads = 1;
  uint64_t mib = 64;
  pagelift::CommandLine line("flood_target", "A hostile neighbour.");
  line.Add({"mode", 0, "MODE", "compute, remove, fork or bomb", &mode});
  line.Add({"threads", 0, "N", "how many do so (default: 1)", &threads});
  line.Add({"mib", 0, "N", "of memory (default: 64)", &mib});
  if (std::optional<int> exit_code = line.ParseOrExitCode(argc, argv)) {
    return *exit_code;
  }
  sigset_t begin;
  sigemptyset(&begin);
  sigaddset(&begin, SIGUSR1);
  sigprocmask(SIG_BLOCK, &begin, nullptr);
  const size_t bytes = mib << 20;
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  memset(memory, 1, bytes);
  printf("ready\n");
  fflush(stdout);
  int signal;
  sigwait(&begin, &signal);
  const Memory all = {static_cast<char*>(memory), bytes / kPage};
  std::vector<std::thread> crew;
  for (unsigned i = 0; i < threads; ++i) {
    crew.emplace_back([&mode, all, i] {
      if (mode == "compute") Compute();
      if (mode == "remove") Remove(all, i + 1);
      if (mode == "fork") Fork();
      if (mode == "bomb") Bomb();
    });
  }
  for (std::thread& thread : crew) thread.join();
  return 1;
}
