#ifndef PAGELIFT_DAEMON_PAGER_SESSION_TESTING_RESTORED_TARGET_H_
#define PAGELIFT_DAEMON_PAGER_SESSION_TESTING_RESTORED_TARGET_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "daemon/pager/session/testing/target_command.h"
#include "lib/base/unique_fd.h"
#include "lib/memory/page.h"
#include "lib/process/registered_ranges.h"
#include "lib/uffd/features.h"

namespace pagelift {

// A thread of the target, or a forked child's only one. It does one thing after
// the other; while it does, the test goes on.
//
// Thread-compatible.
class TargetThread {
 public:
  void Start(const TargetCommand& command);
  void StartRead(PageId page);
  void StartMove(PageRange from, PageId to, PageCount to_count, int flags = 0);
  void StartOn(TargetCommand::Op op, PageRange range, int value = 0);

  void StartPathOp(TargetCommand::Op op, PageRange range,
                   const std::string& path);
  void StartFamily(PageRange pages, uint64_t first_image, Family family);

  // Waits for the end of what was started; fails the test after kSoon.
  TargetReply Finish();
  // Whether it has ended; asks without waiting.
  bool has_finished() const;
  // Waits until it sleeps for a page, or for an event to be read.
  bool WaitUntilBlocked() const;
  bool is_blocked() const;

  // Both at once.
  TargetReply Do(const TargetCommand& command);
  TargetReply Read(PageId page);
  int64_t Move(PageRange from, PageId to, PageCount to_count, int flags = 0);
  int64_t On(TargetCommand::Op op, PageRange range, int value = 0);

  // As a signal does: what it waits for it waits for anew.
  void Interrupt() const;

  pid_t process() const { return process_; }

 private:
  friend class RestoredTarget;
  TargetThread(UniqueFd socket, int seat)
      : socket_(std::move(socket)), seat_(seat) {}
  // Learns who it is, once it is there.
  void Identify();

  UniqueFd socket_;
  const int seat_;
  pid_t process_ = 0;
  pid_t thread_ = 0;
};

// A process that plays a task which `criu restore --lazy-pages` restores: it
// hands its userfaultfd over at a lazy-pages.socket and then does as it is
// told. It is another process, so that the test can be its pager.
//
// Thread-compatible. Fails the test if no userfaultfd can be opened. Ends all
// processes in the end.
class RestoredTarget {
 public:
  static constexpr int32_t kImagePid = 23;
  static constexpr int kThreads = 4;

  // Forks; REQUIRES: no other thread runs in this process. The first `count`
  // pages are the lazy ones.
  explicit RestoredTarget(PageCount count);
  ~RestoredTarget();
  RestoredTarget(const RestoredTarget&) = delete;
  RestoredTarget& operator=(const RestoredTarget&) = delete;

  // What restore does, at `work_dir`/lazy-pages.socket.
  // With a userfaultfd as of a kernel that has no `lacking`.
  void Connect(const std::string& work_dir, FeatureSet lacking = {});
  void HandOver(int32_t image_pid = kImagePid);  // And registers, and forgets.
  void Finish();                                 // Says so, and hangs up.
  // All of it.
  void Restore(const std::string& work_dir);

  PageRange region() const { return region_; }
  PageId page(uint64_t index) const { return region_.first + PageCount(index); }
  PageRange pages(uint64_t first, uint64_t count) const {
    return {page(first), PageCount(count)};
  }
  // Where nothing is mapped that matters, as large as region() and away from
  // it.
  PageId spare(uint64_t index = 0) const {
    return region_.limit() + PageCount(16 + index);
  }

  TargetThread& thread(int index = 0) { return *threads_[index]; }
  // Starts fork(2), which waits until its event is read; the child then serves
  // what is returned.
  TargetThread& StartFork(TargetThread& parent,
                          TargetCommand::Op op = TargetCommand::Op::kFork);
  // Waits for it.
  TargetThread& Fork(TargetThread& parent);
  // The child is no child of its parent: nobody finds it there.
  TargetThread& ForkSibling(TargetThread& parent);
  // Finishes a fork that was started.
  void FinishFork(TargetThread& parent, TargetThread& child);
  TargetThread& ShareMemory(TargetThread& parent);

  void Kill();
  void Kill(TargetThread& child);
  bool HasExited(TargetThread& thread) const;
  // What the kernel says is registered in [region, spare + region).
  std::vector<PageRange> RegisteredNow(TargetThread& of);

 private:
  PageRange region_;
  PageRange arena_;
  std::vector<std::unique_ptr<TargetThread>> threads_;  // By seat.
  size_t next_seat_ = kThreads;
  std::vector<pid_t> processes_;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SESSION_TESTING_RESTORED_TARGET_H_
