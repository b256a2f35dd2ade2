#ifndef PAGELIFT_LIB_UFFD_FAULT_KIND_H_
#define PAGELIFT_LIB_UFFD_FAULT_KIND_H_

#include <ostream>

#include "lib/uffd/enum_set.h"

namespace pagelift {

// What kind of access a range is registered for, and what kind a fault is. The
// values are the kernel's bit numbers of the register modes.
enum class FaultKind : unsigned {
  kMissing = 0,       // Nothing is there.
  kWriteProtect = 1,  // A write to a page that was write-protected.
  kMinor = 2,  // The file has the page, this mapping does not map it yet.
};

using FaultKinds = EnumSet<FaultKind>;

constexpr FaultKinds operator|(FaultKind a, FaultKind b) {
  return FaultKinds(a) | FaultKinds(b);
}

std::ostream& operator<<(std::ostream& out, FaultKind kind);
std::ostream& operator<<(std::ostream& out,
                         FaultKinds kinds);  // "missing|minor"

}  // namespace pagelift

#endif  // PAGELIFT_LIB_UFFD_FAULT_KIND_H_
