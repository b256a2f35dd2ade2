#ifndef PAGELIFT_DAEMON_PAGER_SESSION_TESTING_TARGET_COMMAND_H_
#define PAGELIFT_DAEMON_PAGER_SESSION_TESTING_TARGET_COMMAND_H_

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/memory/page.h"

namespace pagelift {

// What a test tells a thread of its target process to do, and what became of
// it. Both go over a socket as they lie in memory: one process made the other.

// Children that are forked one right after the other.
struct Family {
  int32_t children = 0;     // Of the thread that is told to.
  int32_t generations = 1;  // Every child has one of its own, so deep in all.
  // Who has forked ends, and looks at nothing.
  bool parents_leave = false;
};

struct TargetCommand {
  enum class Op : uint32_t {
    // As `criu restore` does it, in this order.
    kConnect,   // To the socket at `path`, with a userfaultfd that lacks the
                // features `value`.
    kHandOver,  // Pid `value` and the userfaultfd, which stays open here.
    kRegister,  // `range`, mapped anew.
    kForgetUserfaultFd,
    kSay,     // `value` as the next word.
    kHangUp,  // Closes the connection.
    // What programs do.
    kRead,     // All of page `range.first`.
    kWrite,    // Byte `value` at the start of page `range.first`.
    kAdvise,   // madvise(2) with advice `value`.
    kUnmap,    //
    kMove,     // mremap(2) to `to`, as `to_count` pages, with flags `value`;
               // `result` is the new address.
    kLock,     // mlock(2)
    kProtect,  // mprotect(2) with `value`.
    kFork,     // The child serves seat `value`; `result` is its pid.
    kForkSibling,  // As kFork, but a child of this process's parent.
    kVfork,        // As kFork, but in the same memory.
    kExec,
    kExit,
    kAbort,    // Dumps core in the directory `path`.
    kOutlive,  // Goes on when its parent has ended.
    kSplit,    // Makes mappings until a process may have no more; `result` says
               // how many.
    kPrint,    // Writes page `range.first` to the file at `path`.
    kFamily,   // See target_family.h.
    kStorm,    // See target_storm.h; seed `value`.
    kIdentify,
  };

  Op op = Op::kIdentify;
  int32_t value = 0;
  PageRange range;
  PageId to;
  PageCount to_count;
  Family family;
  std::array<char, 128> path = {};
};

struct TargetReply {
  // What the system call returned; -1 with `error` if it failed.
  int64_t result = 0;
  int32_t error = 0;
  // SIGBUS or SIGSEGV, if touching the page raised it.
  int32_t signal = 0;
  pid_t thread = 0;
  std::array<std::byte, kPageSize> page = {};
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SESSION_TESTING_TARGET_COMMAND_H_
