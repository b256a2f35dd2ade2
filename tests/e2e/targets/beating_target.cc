// A small tree of processes that write down, a thousand times a second, when
// and where they are, and whether their memory is right: who looks at it
// afterwards knows whether there ever were two of them at once.
//
//   beating_target --state DIR [--mib 32]
//
// A parent and a forked child, each with another thread. Each process appends
// to its own file, `beats-parent` or `beats-child`, which stays open, records
// of three 64-bit numbers: CLOCK_MONOTONIC in ns, the inode of its network
// namespace, and 0, or 1 if a page was not what it ought to be.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/targets/pattern.h"

namespace pagelift::e2e {
namespace {

constexpr size_t kPagesABeat = 16;
constexpr timespec kBetweenBeats = {0, 1'000'000};

struct Beat {
  uint64_t at_ns;
  uint64_t network;
  uint64_t wrong;
};

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::exit(1);
}

// Pages that are rewritten in turn, and read in another order.
class Memory {
 public:
  Memory(size_t pages, uint64_t seed) : seed_(seed), generations_(pages, 0) {
    void* const memory =
        mmap(nullptr, pages * kPageBytes, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) Die("mmap");
    pages_ = static_cast<std::byte*>(memory);
    for (size_t page = 0; page < pages; ++page) Write(page);
  }

  // As in a child that goes on with its parent's pages.
  void RewriteHalf() {
    for (size_t page = 0; page < generations_.size(); page += 2) Rewrite(page);
  }

  // Whether all that it has looked at was right.
  bool Step() {
    bool right = true;
    for (size_t i = 0; i < kPagesABeat; ++i) {
      // A prime far from any power of two: each page has its turn.
      at_ = (at_ + 7919) % generations_.size();
      right = right && !FindWrongWord(TagOf(at_), At(at_)).has_value();
    }
    Rewrite(at_);
    return right;
  }

 private:
  std::byte* At(size_t page) { return pages_ + page * kPageBytes; }
  PageTag TagOf(size_t page) const { return {seed_, page, generations_[page]}; }
  void Write(size_t page) { WritePattern(TagOf(page), At(page)); }
  void Rewrite(size_t page) {
    ++generations_[page];
    Write(page);
  }

  const uint64_t seed_;
  std::vector<uint64_t> generations_;
  std::byte* pages_ = nullptr;
  size_t at_ = 0;
};

uint64_t NetworkNamespace() {
  struct stat info;
  if (stat("/proc/self/ns/net", &info) != 0) return 0;
  return info.st_ino;
}

[[noreturn]] void BeatForEver(const std::string& path, Memory& memory) {
  const int file =
      open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0) Die(path.c_str());
  std::atomic<uint64_t> turns{0};
  // A thread that computes, so that there is somebody else to be frozen.
  std::thread other([&turns] {
    while (true) {
      turns.fetch_add(1);
      nanosleep(&kBetweenBeats, nullptr);
    }
  });
  while (true) {
    Beat beat = {};
    beat.wrong = memory.Step() ? 0 : 1;
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    beat.at_ns = static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 +
                 static_cast<uint64_t>(now.tv_nsec);
    beat.network = NetworkNamespace();
    if (write(file, &beat, sizeof(beat)) != sizeof(beat)) Die("write");
    nanosleep(&kBetweenBeats, nullptr);
  }
}

[[noreturn]] void Run(const std::string& state, size_t mib) {
  Memory memory((mib << 20) / kPageBytes, 1);
  if (fork() == 0) {
    memory.RewriteHalf();
    BeatForEver(state + "/beats-child", memory);
  }
  BeatForEver(state + "/beats-parent", memory);
}

}  // namespace
}  // namespace pagelift::e2e

int main(int argc, char** argv) {
  std::string state;
  size_t mib = 32;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--state") == 0) state = argv[i + 1];
    if (std::strcmp(argv[i], "--mib") == 0) {
      mib = std::strtoul(argv[i + 1], nullptr, 10);
    }
  }
  if (state.empty() || mib == 0) {
    std::fprintf(stderr, "usage: %s --state DIR [--mib N]\n", argv[0]);
    return 64;
  }
  pagelift::e2e::Run(state, mib);
}
