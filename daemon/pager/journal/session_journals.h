#ifndef PAGELIFT_DAEMON_PAGER_JOURNAL_SESSION_JOURNALS_H_
#define PAGELIFT_DAEMON_PAGER_JOURNAL_SESSION_JOURNALS_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "daemon/pager/holder/holder_page.h"
#include "daemon/pager/journal/descriptor_store.h"
#include "daemon/pager/journal/session_journal.h"

namespace pagelift {

// The journals of a worker's sessions, where the next worker finds them.
//
// Thread-safe.
class SessionJournals {
 public:
  // `page` is shared with the holder, and outlives this; null: nobody will go
  // on with anything.
  explicit SessionJournals(HolderPage* page) : page_(page), store_(page) {}

  // Closes every descriptor that a worker has left which died, but what is
  // named in a journal, and userfaultfds, whose targets read zeros if they are
  // closed wrongly; then returns the journals. Before anything else is opened.
  std::vector<std::unique_ptr<SessionJournal>> TakeOver();

  // Closes the userfaultfds that TakeOver() left open and whose targets are
  // gone by now. To be called now and then.
  void CloseLeftovers() ABSL_LOCKS_EXCLUDED(mu_);

  // For "s1", "s2": never the same again.
  uint64_t NextNumber();

  // One is found by the next worker once it was entered, until its descriptor
  // is forgotten, which is to be before it is closed. What it names is given
  // to the service manager, too.
  absl::Status Enter(SessionJournal& journal);
  void Forget(int descriptor);

 private:
  HolderPage* const page_;
  const DescriptorStore store_;           // With a page.
  std::atomic<uint64_t> next_number_{1};  // Without a page.
  absl::Mutex mu_;
  // Userfaultfds that are in no journal.
  std::vector<int> leftovers_ ABSL_GUARDED_BY(mu_);
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_JOURNAL_SESSION_JOURNALS_H_
