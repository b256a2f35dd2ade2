// criu_target FILE PAGES: a process with a second thread, a forked child and a
// zombie, each of the two with so many pages of known contents, and with memory
// of many kinds. All count in FILE, a TargetMemory, until they are killed.
// Never instrumented: CRIU cannot dump a sanitizer's memory.

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

// Memory of every kind that a dump treats in its own way, some pages of each
// touched.
void MapAllKinds() {
  constexpr uint64_t kBytes = 64 * 4096;
  constexpr int kPrivate = MAP_PRIVATE | MAP_ANONYMOUS;
  const auto touch = [](void* memory, uint64_t each) {
    auto* bytes = static_cast<volatile char*>(memory);
    for (uint64_t i = 0; i < kBytes; i += each * 4096) bytes[i] = 1;
  };
  const auto advised = [&](int advice) {
    void* memory = MapOrDie(kBytes, kPrivate, -1);
    touch(memory, 3);
    if (madvise(memory, kBytes, advice) != 0) abort();
  };
  advised(MADV_NORMAL);
  advised(MADV_DONTFORK);
  advised(MADV_WIPEONFORK);
  advised(MADV_DONTDUMP);
  advised(MADV_SEQUENTIAL);
  // Read only: the zero page, and nothing.
  auto* read = static_cast<volatile char*>(MapOrDie(kBytes, kPrivate, -1));
  for (uint64_t i = 0; i < kBytes; i += 2 * 4096) (void)read[i];
  // Guards, which older kernels do not have (MADV_GUARD_INSTALL, Linux 6.13).
  auto* guarded = static_cast<char*>(MapOrDie(kBytes, kPrivate, -1));
  touch(guarded, 1);
  (void)madvise(guarded + 8 * 4096, 4 * 4096, 102);
  (void)madvise(guarded + kBytes - 4096, 4096, 102);
  void* locked = MapOrDie(kBytes, kPrivate, -1);
  touch(locked, 5);
  if (mlock(locked, kBytes) != 0) abort();
  touch(MapOrDie(kBytes, MAP_SHARED | MAP_ANONYMOUS, -1), 2);
  const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  touch(MapOrDie(4096, MAP_PRIVATE, fd), kBytes / 4096);
  close(fd);
  void* read_only = MapOrDie(kBytes, kPrivate, -1);
  touch(read_only, 7);
  if (mprotect(read_only, kBytes, PROT_READ) != 0 ||
      mprotect(static_cast<char*>(read_only) + kBytes / 2, 4096, PROT_NONE) !=
          0) {
    abort();
  }
  // Much, of which there is little.
  auto* sparse = static_cast<volatile char*>(
      MapOrDie(uint64_t{1} << 32, kPrivate | MAP_NORESERVE, -1));
  for (uint64_t i = 0; i < uint64_t{1} << 32; i += 77 << 20) sparse[i] = 1;
}

[[noreturn]] void Run(const char* file, uint64_t pages) {
  const int fd = open(file, O_RDWR | O_CLOEXEC);
  if (fd < 0) abort();
  auto& memory = *static_cast<TargetMemory*>(
      MapOrDie(sizeof(TargetMemory), MAP_SHARED, fd));
  close(fd);
  MapAllKinds();
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
