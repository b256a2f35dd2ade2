#include "tests/stress/torture/world.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <new>
#include <utility>

namespace pagelift::stress {
namespace {

constexpr uint64_t kMomentMs = 100;

uint64_t MonotonicMilliseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 +
         static_cast<uint64_t>(now.tv_nsec) / 1000000;
}

}  // namespace

Tally* Tally::Map() {
  void* memory = mmap(nullptr, sizeof(Tally), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("mmap");
    std::_Exit(70);
  }
  return new (memory) Tally;
}

void Tally::TellWrong(const char* message) {
  uint32_t none = 0;
  if (!wrong.compare_exchange_strong(none, 1)) return;
  std::strncpy(first_wrong.data(), message, first_wrong.size() - 1);
  wrong.store(2);
}

World::World(Tally& tally, std::string state)
    : tally_(tally), state_(std::move(state)) {
  InitializeLock();
}

void World::AfterFork(bool alone) {
  InitializeLock();
  ++depth_;
  all_fields_hold_ = all_fields_hold_ && alone;
  tally_.processes.fetch_add(1);
}

void World::NoteFork() { last_fork_ms_ = MonotonicMilliseconds(); }

bool World::MayMarkForFork() const {
  return MonotonicMilliseconds() - last_fork_ms_ > kMomentMs;
}

void World::InitializeLock() {
  pthread_rwlockattr_t attributes;
  pthread_rwlockattr_init(&attributes);
  // Or whoever wants to be alone would wait for ever.
  pthread_rwlockattr_setkind_np(&attributes,
                                PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
  pthread_rwlock_init(&quiet_, &attributes);
  pthread_rwlockattr_destroy(&attributes);
}

}  // namespace pagelift::stress
