#include "daemon/pager/session/invariants.h"

#include <sstream>

namespace pagelift {
namespace {

template <typename... Parts>
std::string Say(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
}

PageCount NotThere(const PageStateCounts& counts) {
  return counts.missing + counts.requested + counts.lost;
}

}  // namespace

bool InvariantChecker::IsOld(bool is_so, Since& since, absl::Time now) const {
  if (!is_so) {
    since = absl::InfiniteFuture();
    return false;
  }
  if (since == absl::InfiniteFuture()) since = now;
  return now - since > patience_;
}

std::vector<std::string> InvariantChecker::Check(const AddressSpaceFacts& facts,
                                                 absl::Time now) {
  std::vector<std::string> broken;
  if (!(facts.counts == facts.counted)) {
    broken.push_back(
        Say("the map counts ", facts.counts, " and has ", facts.counted));
  }
  if (!facts.journal_agrees) {
    broken.push_back("another process would take the layout for another");
  }
  if (facts.closed) {
    if (!facts.gone && PageCount(0) < NotThere(facts.counts)) {
      broken.push_back(
          Say("I4: closed with pages that are not there: ", facts.counts));
    }
    if (!facts.waiting.empty()) {
      broken.push_back(Say("I3: closed, and somebody waits for ",
                           facts.waiting.front().fault.page));
    }
    return broken;
  }
  for (const AddressSpaceFacts::Waiting& waiting : facts.waiting) {
    if (!waiting.fault.deferred && waiting.state != PageState::kRequested) {
      broken.push_back(Say("I3: somebody waits for ", waiting.fault.page,
                           ", which is not on its way"));
    }
    if (now - waiting.fault.since > patience_) {
      broken.push_back(Say("I3: somebody has waited for ", waiting.fault.page,
                           " for ", now - waiting.fault.since));
    }
  }
  if (!facts.kernel.has_value() || facts.held || facts.gone) return broken;
  const UserfaultFdInfo& kernel = *facts.kernel;
  if (IsOld(kernel.unread_faults > 0, unread_, now)) {
    broken.push_back(
        Say("I3: there were unread faults at every look for ", now - unread_));
  }
  // Whoever waits is woken when nobody is thought to wait any more.
  const bool unknown =
      facts.waiting.empty() && kernel.waiting_faults > kernel.unread_faults;
  if (IsOld(unknown, unknown_, now)) {
    broken.push_back(Say("I3: ", kernel.waiting_faults - kernel.unread_faults,
                         " threads wait of which we know nothing"));
  }
  return broken;
}

}  // namespace pagelift
