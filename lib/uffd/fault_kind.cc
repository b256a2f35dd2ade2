#include "lib/uffd/fault_kind.h"

namespace pagelift {

std::ostream& operator<<(std::ostream& out, FaultKind kind) {
  switch (kind) {
    case FaultKind::kMissing:
      return out << "missing";
    case FaultKind::kWriteProtect:
      return out << "write-protect";
    case FaultKind::kMinor:
      return out << "minor";
  }
  return out << "FaultKind(" << static_cast<unsigned>(kind) << ")";
}

std::ostream& operator<<(std::ostream& out, FaultKinds kinds) {
  const char* separator = "";
  for (FaultKind kind :
       {FaultKind::kMissing, FaultKind::kWriteProtect, FaultKind::kMinor}) {
    if (!kinds.Has(kind)) continue;
    out << separator << kind;
    separator = "|";
  }
  return kinds.empty() ? out << "none" : out;
}

}  // namespace pagelift
