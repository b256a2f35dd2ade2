#ifndef PAGELIFT_LIB_MEMORY_PAGE_STATE_H_
#define PAGELIFT_LIB_MEMORY_PAGE_STATE_H_

#include <cstdint>
#include <ostream>

#include "lib/memory/page.h"

namespace pagelift {

// What is known of one page whose contents come from the image.
enum class PageState : uint8_t {
  kMissing = 0,    // In the image, not asked for.
  kRequested = 1,  // On its way.
  kPresent = 2,    // Installed.
  kLost = 3,       // Declared unrecoverable: poisoned, never zero.
};

// A set of states, for transitions and searches.
class PageStates {
 public:
  constexpr PageStates() = default;
  constexpr PageStates(PageState state)  // NOLINT(google-explicit-constructor)
      : bits_(static_cast<uint8_t>(1u << static_cast<unsigned>(state))) {}
  constexpr bool Has(PageState state) const {
    return (bits_ >> static_cast<unsigned>(state)) & 1u;
  }
  friend constexpr PageStates operator|(PageStates a, PageStates b) {
    PageStates both;
    both.bits_ = static_cast<uint8_t>(a.bits_ | b.bits_);
    return both;
  }

 private:
  uint8_t bits_ = 0;
};
constexpr PageStates operator|(PageState a, PageState b) {
  return PageStates(a) | PageStates(b);
}

// How many pages are in each state.
struct PageStateCounts {
  PageCount missing;
  PageCount requested;
  PageCount present;
  PageCount lost;
  PageCount total() const { return missing + requested + present + lost; }
  friend bool operator==(const PageStateCounts& a, const PageStateCounts& b) {
    return a.missing == b.missing && a.requested == b.requested &&
           a.present == b.present && a.lost == b.lost;
  }
};

std::ostream& operator<<(std::ostream& out, PageState state);
std::ostream& operator<<(std::ostream& out, const PageStateCounts& counts);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_MEMORY_PAGE_STATE_H_
