#ifndef PAGELIFT_DAEMON_MIGRATION_PARKED_TESTING_TARGET_MEMORY_H_
#define PAGELIFT_DAEMON_MIGRATION_PARKED_TESTING_TARGET_MEMORY_H_

#include <atomic>
#include <cstdint>

namespace pagelift {

// Who counts while it runs.
enum TargetThread { kMain, kSecondThread, kChild, kTargetThreads };

// A file that the target and the test have mapped, and that no dump has.
struct TargetMemory {
  std::atomic<uint64_t> counts[kTargetThreads];
  // Of the two processes.
  std::atomic<int32_t> main_pid;
  std::atomic<int32_t> child_pid;
  // Where each has mapped its pages, when they hold what they should.
  std::atomic<uint64_t> main_pages;
  std::atomic<uint64_t> child_pages;
};

// What page `page` of the main process (0) or of its child (1) is filled with,
// word by word; every fourth page with zeros.
constexpr uint64_t TargetWord(uint64_t process, uint64_t page) {
  return page % 4 == 3 ? 0 : ((process + 1) << 32) + page + 1;
}

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_PARKED_TESTING_TARGET_MEMORY_H_
