#ifndef PAGELIFT_DAEMON_PAGER_SESSION_INVARIANTS_H_
#define PAGELIFT_DAEMON_PAGER_SESSION_INVARIANTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "daemon/pager/session/waiting_faults.h"
#include "lib/memory/page.h"
#include "lib/memory/page_state.h"
#include "lib/uffd/fd_info.h"

namespace pagelift {

// What an address space knows of itself at an instant at which nothing is
// installed and no event is applied.
struct AddressSpaceFacts {
  struct Waiting {
    WaitingFaults::Entry fault;
    std::optional<PageState> state;  // Of its page; nothing: zero.
  };

  bool held = false;
  bool gone = false;
  bool closed = false;
  PageStateCounts counts;   // As the map keeps them,
  PageStateCounts counted;  // and as its pages are.
  std::vector<Waiting> waiting;
  std::optional<UserfaultFdInfo> kernel;  // Nothing if it could not be asked.
  // Whoever rebuilds the layout from the journal has the same; true if there is
  // no journal.
  bool journal_agrees = true;
};

// Finds out whether the invariants of docs/design.md are broken, as far as that
// can be seen from inside: I3 and I4, and the state that I1 and I2 rest on. A
// debugging aid: for tests and torture.
//
// One for each address space. Thread-compatible.
class InvariantChecker {
 public:
  // How long a fault may wait before it counts as forgotten. Must be longer
  // than any source takes.
  explicit InvariantChecker(absl::Duration patience) : patience_(patience) {}

  // What is broken, for people; empty if nothing is. `now` does not go back.
  std::vector<std::string> Check(const AddressSpaceFacts& facts,
                                 absl::Time now);

 private:
  // Since when it has been so at every look; InfiniteFuture if it is not.
  using Since = absl::Time;

  bool IsOld(bool is_so, Since& since, absl::Time now) const;

  const absl::Duration patience_;
  Since unread_ = absl::InfiniteFuture();
  Since unknown_ = absl::InfiniteFuture();
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SESSION_INVARIANTS_H_
