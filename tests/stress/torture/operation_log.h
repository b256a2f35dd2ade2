#ifndef TESTS_STRESS_TORTURE_OPERATION_LOG_H_
#define TESTS_STRESS_TORTURE_OPERATION_LOG_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace pagelift::stress {

// What an actor does. The names go into reports: see ToString().
enum class Op : uint8_t {
  kRead,
  kWrite,
  kPatch,
  kMap,
  kMapOver,
  kUnmap,
  kShrink,
  kGrowInPlace,
  kMove,
  kMoveAndGrow,
  kMoveAndShrink,
  kMoveOver,
  kMoveDontUnmap,
  kDontNeed,
  kFree,
  kAdvise,
  kProtect,
  kLock,
  kPipe,
  kDirectIo,
  kVectorIo,
  kFutex,
  kSignal,
  kThread,
  kSpawn,
  kFork,
  kForkQuiesced,
  kForkKilled,
  kBreak,
  kStack,
  kRelay,
};
inline constexpr size_t kOps = static_cast<size_t>(Op::kRelay) + 1;

const char* ToString(Op op);

// One operation. Pages count from the start of the actor's field.
struct OperationRecord {
  uint32_t number = 0;
  Op op = Op::kRead;
  int32_t detail = 0;  // Advice, protection, pid.
  int32_t error = 0;   // The errno that refused it; 0 if it was done.
  uint32_t first = 0;
  uint32_t count = 0;
  uint32_t to = 0;
  uint32_t to_count = 0;
  uint64_t time_us = 0;  // CLOCK_MONOTONIC, when it began.
};

// The latest operations of one actor. Allocates nothing, so that a forked child
// of a program with threads may go on with its copy.
//
// Thread-compatible.
class OperationLog {
 public:
  static constexpr size_t kKept = 1 << 13;

  // Numbers count from 1.
  OperationRecord& Begin(Op op, size_t first, size_t count);
  // Null if it is not kept any more, or never was.
  const OperationRecord* Find(uint32_t number) const;
  uint32_t last() const { return last_; }

 private:
  std::array<OperationRecord, kKept> records_;
  uint32_t last_ = 0;
};

}  // namespace pagelift::stress

#endif  // TESTS_STRESS_TORTURE_OPERATION_LOG_H_
