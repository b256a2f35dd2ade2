#ifndef PAGELIFT_DAEMON_PAGER_SESSION_LOST_SOURCE_H_
#define PAGELIFT_DAEMON_PAGER_SESSION_LOST_SOURCE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace pagelift {

// What becomes of targets whose pages do not come any more. Whatever it is,
// they never read zeros.
enum class WhenUnavailable : uint32_t {
  kFreeze = 0,  // They wait.
  kPoison = 1,  // What is missing raises SIGBUS when it is touched, for good.
  kKill = 2,    // They get SIGKILL.
};

// "freeze", "poison" or "kill"; empty is freeze. kInvalidArgument says so.
absl::StatusOr<WhenUnavailable> ParseWhenUnavailable(absl::string_view text);
std::string ToString(WhenUnavailable action);

// When a source counts as lost: somebody has waited for so long, and for as
// long nothing has come. A source that comes back in time is not, nor is one
// that is slow.
struct LostSource {
  WhenUnavailable action = WhenUnavailable::kFreeze;
  absl::Duration after = absl::InfiniteDuration();

  bool IsLost(absl::Duration waiting_for, absl::Duration nothing_for) const {
    return after <= waiting_for && after <= nothing_for;
  }
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_SESSION_LOST_SOURCE_H_
