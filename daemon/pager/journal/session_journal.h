#ifndef PAGELIFT_DAEMON_PAGER_JOURNAL_SESSION_JOURNAL_H_
#define PAGELIFT_DAEMON_PAGER_JOURNAL_SESSION_JOURNAL_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "daemon/pager/journal/descriptor_store.h"
#include "daemon/pager/journal/shared_memory.h"
#include "daemon/pager/journal/space_journal.h"
#include "daemon/pager/layout/space_layout.h"
#include "lib/base/unique_fd.h"
#include "lib/memory/page.h"

namespace pagelift {

// Text in shared memory: whoever reads it while it is written, or after the
// writer died over it, gets what is there, cut where it ends.
template <size_t kSize>
class SharedText {
 public:
  // Cut if it is too long.
  void Set(const std::string& text) {
    const size_t length = std::min(text.size(), kSize - 1);
    text.copy(text_, length);
    text_[length] = '\0';
  }
  bool Fits(const std::string& text) const { return text.size() < kSize; }
  std::string Get() const { return std::string(text_, strnlen(text_, kSize)); }

 private:
  char text_[kSize];
};

// What is kept of a session beside its address spaces. In shared memory; see
// docs/crash_safety.md.
struct SessionRecord {
  static constexpr uint64_t kMagic = 0x315345535446474c;
  // Of all that is kept in the memory of a session. A version is only ever
  // added to at the end of a structure; anything else makes a new one.
  static constexpr uint32_t kVersion = 1;

  uint64_t magic;
  uint32_t version;
  uint32_t counters_size;  // Of what lies at counters().
  uint64_t image_pages;
  SharedText<64> name;
  SharedText<64> request_id;  // Of who opened it.
  SharedText<4096> source;
  SharedText<4096> work_dir;
  SharedText<256> content_id;
  std::atomic<int64_t> opened_ns;    // Since the epoch.
  std::atomic<int64_t> finished_ns;  // 0: restore has not said so.
  std::atomic<int64_t> ended_ns;     // 0: it has not.
  SharedText<64> prefetch;           // As PrefetchMode::Parse() takes it.
  std::atomic<int32_t> listener;     // The descriptor; -1: none.
  std::atomic<int32_t> handoff;      // The same.
  // Something was received of the hand-off and is not all here.
  std::atomic<uint32_t> receiving;
  std::atomic<int32_t> task_due;  // Its descriptor comes next; 0: none.
  std::atomic<int32_t> sender;    // Of that task.
  std::atomic<uint32_t> failed;
  SharedText<1024> trouble;
  // LostSource: milliseconds, 0 for never; WhenUnavailable.
  uint64_t unavailable_after_ms;
  uint32_t when_unavailable;
  // What the service manager keeps: bits of SessionJournal.
  std::atomic<uint32_t> kept;
};
static_assert(sizeof(SessionRecord) < 12 << 10);

// The journal of one session, in memory that outlives this process: what the
// session is, and a SpaceJournal for each of its address spaces.
//
// Thread-safe.
class SessionJournal {
 public:
  // As /proc shows it.
  static constexpr char kMemoryName[] = "pagelift-session";
  static constexpr size_t kMostSpaces = 1 << 16;
  static constexpr size_t kMostCounters = 48 << 10;

  static absl::StatusOr<std::unique_ptr<SessionJournal>> Create(
      PageCount image_pages);
  // kFailedPrecondition: of a version that we do not know.
  static absl::StatusOr<std::unique_ptr<SessionJournal>> Adopt(UniqueFd fd);

  SessionRecord& record() { return *header_.at<SessionRecord>(0); }
  // Zeros at first; what lies there is the session's business.
  absl::Span<std::byte> counters() const;

  struct Space {
    int uffd = -1;
    int pidfd = -1;
    pid_t pid = 0;
    uint32_t task = 0;
    bool frozen = false;
    bool held = false;
    pid_t parent_pid = 0;
  };
  // Null, and an error in the log, if there is no room: such an address space
  // waits for ever if this process dies.
  std::unique_ptr<SpaceJournal> Add(const Space& space,
                                    const SpaceLayout& layout)
      ABSL_LOCKS_EXCLUDED(mu_);
  // The same in two steps, of a task of the image that is called `image_pid`
  // there: it is known from the first on, whatever the second takes.
  std::unique_ptr<SpaceJournal> Arrive(int uffd, pid_t pid, int32_t image_pid)
      ABSL_LOCKS_EXCLUDED(mu_);
  void Settle(SpaceJournal& journal, const Space& space,
              const SpaceLayout& layout);
  // First of all with the userfaultfd of a child, named by a message that was
  // just read: it runs already, and Add() takes its time. Where that fails, it
  // has to be forgotten again.
  void KeepChild(int uffd) ABSL_LOCKS_EXCLUDED(mu_);
  void ForgetChild(int uffd) ABSL_LOCKS_EXCLUDED(mu_);
  // A live one with that descriptor is here.
  bool Has(int uffd) const ABSL_LOCKS_EXCLUDED(mu_);

  // Restore is to connect, and has connected, there. -1: no more; before the
  // descriptor is closed.
  void SetListener(int fd);
  void SetHandoff(int fd);

  // From now on `store` has every descriptor that is named here, and this
  // journal.
  void KeepIn(const DescriptorStore& store) ABSL_LOCKS_EXCLUDED(mu_);

  // Taking over: every descriptor that is named here, also by the message of a
  // fork that was read and not applied.
  std::vector<int> Descriptors();
  // The descriptors come from a store, where some may be missing. Forgets what
  // is not what it should be, and kills the targets whose memory is lost with
  // it: they would read zeros. All are lost unless what was kept is `trusted`.
  // Before anything else.
  void CheckRestored(bool trusted);
  // The live ones, parents before their children. Once only.
  absl::StatusOr<std::vector<std::unique_ptr<SpaceJournal>>> Spaces()
      ABSL_LOCKS_EXCLUDED(mu_);

  int fd() const { return memory_.fd(); }

 private:
  friend class SpaceJournal;

  SessionJournal(SharedMemory memory, SharedMapping header);
  enum Kept : uint32_t { kJournal = 1, kListener = 2, kHandoff = 4 };

  // `bit` of `kept` says whether the store has `fd`.
  void Keep(int fd, std::atomic<uint32_t>& kept, uint32_t bit) const;
  void TakeOut(int fd, std::atomic<uint32_t>& kept, uint32_t bit) const;
  // A child that was kept, and is not entered yet. Once only.
  bool WasKept(int uffd) ABSL_LOCKS_EXCLUDED(mu_);
  void CheckMessages(size_t index);
  // The messages that were read and not applied.
  void ForEachMessage(size_t index,
                      absl::FunctionRef<void(absl::Span<std::byte>)> visit);

  // Of a free slot; null if there is none.
  std::unique_ptr<SpaceJournal> NewJournal() ABSL_LOCKS_EXCLUDED(mu_);
  void Remove(SpaceJournal& space) ABSL_LOCKS_EXCLUDED(mu_);
  SpaceRecord& slot(size_t index) const {
    return *header_.at<SpaceRecord>(kSlotsAt + index * sizeof(SpaceRecord));
  }
  size_t PlaceOf(size_t index) const;
  // REQUIRES: nobody else uses this yet.
  template <typename F>
  void ForEachOpen(F visit) const {
    for (size_t i = 0; i < kMostSpaces; ++i) {
      SpaceRecord& space = slot(i);
      if (space.state == SpaceRecord::kFree && space.sequence == 0) break;
      if (space.is_open()) visit(i, space);
    }
  }
  PageCount image_pages() const {
    return PageCount(header_.at<SessionRecord>(0)->image_pages);
  }

  static constexpr size_t kCountersAt = 16 << 10;
  static constexpr size_t kSlotsAt = 64 << 10;
  static constexpr size_t kSpacesAt = 8 << 20;
  static_assert(kSlotsAt + kMostSpaces * sizeof(SpaceRecord) <= kSpacesAt);

  const SharedMemory memory_;
  const SharedMapping header_;  // [0, kSpacesAt)

  std::optional<DescriptorStore> store_;

  mutable absl::Mutex mu_;
  std::vector<size_t> free_ ABSL_GUARDED_BY(mu_);  // Below `used_`.
  size_t used_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t next_sequence_ ABSL_GUARDED_BY(mu_) = 1;
  absl::flat_hash_set<int> kept_children_ ABSL_GUARDED_BY(mu_);
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_JOURNAL_SESSION_JOURNAL_H_
