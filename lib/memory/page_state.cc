#include "lib/memory/page_state.h"

namespace pagelift {

std::ostream& operator<<(std::ostream& out, PageState state) {
  switch (state) {
    case PageState::kMissing:
      return out << "missing";
    case PageState::kRequested:
      return out << "requested";
    case PageState::kPresent:
      return out << "present";
    case PageState::kLost:
      return out << "lost";
  }
  return out << "state " << static_cast<int>(state);
}

std::ostream& operator<<(std::ostream& out, const PageStateCounts& counts) {
  return out << "{missing " << counts.missing << ", requested "
             << counts.requested << ", present " << counts.present << ", lost "
             << counts.lost << "}";
}

}  // namespace pagelift
