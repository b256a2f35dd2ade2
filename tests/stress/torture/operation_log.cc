#include "tests/stress/torture/operation_log.h"

#include <time.h>

namespace pagelift::stress {
namespace {

uint64_t MonotonicMicroseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000 +
         static_cast<uint64_t>(now.tv_nsec) / 1000;
}

}  // namespace

const char* ToString(Op op) {
  static constexpr const char* kNames[kOps] = {"read",
                                               "write",
                                               "patch",
                                               "map",
                                               "map over",
                                               "unmap",
                                               "shrink",
                                               "grow in place",
                                               "move",
                                               "move and grow",
                                               "move and shrink",
                                               "move over",
                                               "move dontunmap",
                                               "dontneed",
                                               "free",
                                               "advise",
                                               "protect",
                                               "lock",
                                               "pipe",
                                               "direct io",
                                               "vector io",
                                               "futex",
                                               "signal",
                                               "thread",
                                               "spawn",
                                               "fork",
                                               "fork quiesced",
                                               "fork killed",
                                               "break",
                                               "stack",
                                               "relay"};
  return kNames[static_cast<size_t>(op)];
}

OperationRecord& OperationLog::Begin(Op op, size_t first, size_t count) {
  OperationRecord& record = records_[++last_ % kKept];
  record = OperationRecord();
  record.number = last_;
  record.op = op;
  record.first = static_cast<uint32_t>(first);
  record.count = static_cast<uint32_t>(count);
  record.time_us = MonotonicMicroseconds();
  return record;
}

const OperationRecord* OperationLog::Find(uint32_t number) const {
  if (number == 0) return nullptr;
  const OperationRecord& record = records_[number % kKept];
  return record.number == number ? &record : nullptr;
}

}  // namespace pagelift::stress
