#ifndef PAGELIFT_LIB_PROCESS_CAPABILITIES_H_
#define PAGELIFT_LIB_PROCESS_CAPABILITIES_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace pagelift {

// Some of capabilities(7), named by the kernel's numbers (CAP_KILL, ...).
class CapabilitySet {
 public:
  constexpr CapabilitySet() = default;
  explicit CapabilitySet(absl::Span<const int> capabilities) {
    for (int capability : capabilities) bits_ |= uint64_t{1} << capability;
  }
  static CapabilitySet FromBits(uint64_t bits);

  // What the calling thread may use.
  static CapabilitySet Effective();

  bool Has(int capability) const { return ((bits_ >> capability) & 1) != 0; }
  uint64_t bits() const { return bits_; }

 private:
  uint64_t bits_ = 0;
};

// Gives up all capabilities of this thread but `kept`, for good and in every
// set that the kernel has; in the bounding set only if we may, which makes no
// difference with PR_SET_NO_NEW_PRIVS. A capability belongs to a thread, and
// another one's cannot be given up: kFailedPrecondition if this process has a
// thread with others than `kept`.
absl::Status KeepCapabilities(CapabilitySet kept);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_CAPABILITIES_H_
