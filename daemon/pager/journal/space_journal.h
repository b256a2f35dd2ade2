#ifndef PAGELIFT_DAEMON_PAGER_JOURNAL_SPACE_JOURNAL_H_
#define PAGELIFT_DAEMON_PAGER_JOURNAL_SPACE_JOURNAL_H_

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "daemon/pager/journal/shared_memory.h"
#include "daemon/pager/layout/layout_op.h"
#include "daemon/pager/layout/space_layout.h"
#include "lib/memory/page.h"

namespace pagelift {

class SessionJournal;

// What is kept of an address space beside its layout. In shared memory: see
// docs/crash_safety.md for the rules of its format.
struct SpaceRecord {
  enum State : uint32_t {
    kFree = 0,
    kLive = 1,
    // Its userfaultfd is being closed, rightly: see invariant I4.
    kClosing = 2,
    // A task that restore has handed over; its layout is that of the image.
    kArrived = 3,
  };
  std::atomic<uint32_t> state;
  int32_t uffd;                // The descriptor.
  std::atomic<int32_t> pidfd;  // -1: the process is not known.
  std::atomic<int32_t> pid;
  uint32_t task;    // The index of its task in the image.
  uint32_t frozen;  // Not to be served; see Session.
  // A forked child of `parent_pid` that is held; see AddressSpace.
  std::atomic<uint32_t> held;
  int32_t parent_pid;
  uint64_t sequence;           // A child's is greater than its parent's.
  int32_t image_pid;           // Of one that has arrived.
  std::atomic<uint32_t> kept;  // By the service manager: bits of Kept.
  uint32_t unused[4];

  enum Kept : uint32_t { kUserfaultFd = 1, kPidFd = 2 };

  bool is_open() const { return state == kLive || state == kArrived; }
};
static_assert(sizeof(SpaceRecord) == 64);

// The journal of one address space, in memory that outlives this process: from
// it another one rebuilds the page map when this one has crashed.
//
// The kernel itself writes an event into it, in the step that takes the event
// off its queue and lets the target go on: raw() is where to read(2) to. What
// an event changes is appended, change by change, and counts once it is
// committed together with the fact that the event has been applied. So whoever
// takes over finds every event either applied or to be applied, whenever its
// reader died.
//
// Which pages are present is kept as one bit a page, set after the install; a
// page whose bit is missing is asked for again, and then found to be there.
// Requests and faults are not kept: those who wait are made to fault again.
//
// Thread-safe in Append(), Commit() and MarkInstalled(), which may run beside
// each other; everything else needs exclusive access, as the layout does.
class SpaceJournal final : public LayoutLog {
 public:
  static constexpr size_t kMessages = 64;
  static constexpr size_t kMessageSize = 32;

  // How large the memory of one journal is, for an image of so many pages.
  // Nearly all of it is never touched.
  static size_t SizeFor(PageCount image_pages);

  // `record` and `session` must outlive this. For SessionJournal.
  SpaceJournal(SessionJournal& session, SpaceRecord& record,
               SharedMapping memory, PageCount image_pages);

  SpaceRecord& record() { return record_; }
  SessionJournal& session() { return session_; }

  // --- Writing -----------------------------------------------------------

  // Zeros, but for the messages of a batch that is being applied.
  absl::Span<std::byte> raw() const;

  void Append(const LayoutOp& op) override ABSL_LOCKS_EXCLUDED(mu_);
  // What was appended counts.
  void Commit() ABSL_LOCKS_EXCLUDED(mu_);
  // And with it the first `applied` events that were decoded from raw().
  void CommitEvents(size_t applied) ABSL_LOCKS_EXCLUDED(mu_);
  // All of raw() was applied: it is zeros again.
  void EndBatch() ABSL_LOCKS_EXCLUDED(mu_);

  // Makes it short again, if it has grown long. REQUIRES: all is committed.
  void Fold(const SpaceLayout& layout) ABSL_LOCKS_EXCLUDED(mu_);

  void MarkInstalled(ImageRange pages);

  // Its process is known from now on, and it is not held any more. -1: it is
  // not known after all.
  void SetProcess(pid_t pid, int pidfd);

  // The descriptor is about to be closed, because I4 holds; and it was closed:
  // nothing is kept any more.
  void BeginClosing();
  void EndClosing();

  // --- Taking over -------------------------------------------------------

  // The layout as of the last commit, with what is present.
  absl::StatusOr<SpaceLayout> Rebuild() const;
  // How many events of raw() are in it, and how many messages are there.
  size_t applied() const;
  size_t messages() const;
  // Begins anew with `layout`, of which the pages that are present are marked.
  void StartWith(const SpaceLayout& layout) ABSL_LOCKS_EXCLUDED(mu_);

  // Bytes of changes, for tests.
  size_t length() const;

 private:
  // One word, so that it changes in one step: which half of the changes counts,
  // how many of them, and how many events are in them.
  struct Progress {
    uint32_t half;
    uint64_t ops;
    size_t applied;
    uint64_t Pack() const {
      return (uint64_t{half} << 63) | (ops << 8) | applied;
    }
    static Progress Of(uint64_t word) {
      return {static_cast<uint32_t>(word >> 63),
              (word & ~(uint64_t{1} << 63)) >> 8,
              static_cast<size_t>(word & 0xff)};
    }
  };
  struct Header {
    std::atomic<uint64_t> progress;
  };

  Header& header() const { return *memory_.at<Header>(0); }
  Progress progress() const {
    return Progress::Of(header().progress.load(std::memory_order_acquire));
  }
  LayoutOp* ops(uint32_t half) const;
  void WriteLocked(uint32_t half, const SpaceLayout& layout, size_t applied)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  SessionJournal& session_;
  SpaceRecord& record_;
  const SharedMapping memory_;
  const PageCount image_pages_;
  const uint64_t most_ops_;  // In a half.

  mutable absl::Mutex mu_;
  uint64_t appended_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t folded_to_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_JOURNAL_SPACE_JOURNAL_H_
