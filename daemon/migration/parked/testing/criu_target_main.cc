// criu_target FILE PAGES: a process with a second thread, a forked child and a
// zombie, each of the two with so many pages of known contents. All count in
// FILE, a TargetMemory, until they are killed. Never instrumented: CRIU cannot
// dump a sanitizer's memory.

#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <thread>

#include "daemon/migration/parked/testing/target_memory.h"

namespace pagelift {
namespace {

void* MapOrDie(uint64_t bytes, int flags, int fd) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
  if (memory == MAP_FAILED) abort();
  return memory;
}

// All of `pages` are touched, also those of zeros.
uint64_t FilledPages(uint64_t process, uint64_t pages) {
  constexpr uint64_t kWords = 4096 / sizeof(uint64_t);
  auto* words = static_cast<volatile uint64_t*>(
      MapOrDie(pages * 4096, MAP_PRIVATE | MAP_ANONYMOUS, -1));
  for (uint64_t i = 0; i < pages * kWords; ++i) {
    words[i] = TargetWord(process, i / kWords);
  }
  return reinterpret_cast<uint64_t>(words);
}

[[noreturn]] void Count(std::atomic<uint64_t>& count) {
  while (true) {
    ++count;
    const timespec tick = {0, 100000};
    nanosleep(&tick, nullptr);
  }
}

[[noreturn]] void Run(const char* file, uint64_t pages) {
  const int fd = open(file, O_RDWR | O_CLOEXEC);
  if (fd < 0) abort();
  auto& memory = *static_cast<TargetMemory*>(
      MapOrDie(sizeof(TargetMemory), MAP_SHARED, fd));
  close(fd);
  if (fork() == 0) _exit(0);  // The zombie.
  const pid_t child = fork();
  if (child == 0) {
    memory.child_pages = FilledPages(1, pages);
    Count(memory.counts[kChild]);
  }
  memory.main_pid = getpid();
  memory.child_pid = child;
  memory.main_pages = FilledPages(0, pages);
  std::thread([&] { Count(memory.counts[kSecondThread]); }).detach();
  Count(memory.counts[kMain]);
}

}  // namespace
}  // namespace pagelift

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  pagelift::Run(argv[1], strtoull(argv[2], nullptr, 10));
}
