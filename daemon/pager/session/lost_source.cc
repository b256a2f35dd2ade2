#include "daemon/pager/session/lost_source.h"

#include "absl/strings/str_cat.h"

namespace pagelift {

absl::StatusOr<WhenUnavailable> ParseWhenUnavailable(absl::string_view text) {
  if (text.empty()) return WhenUnavailable::kFreeze;
  for (WhenUnavailable action :
       {WhenUnavailable::kFreeze, WhenUnavailable::kPoison,
        WhenUnavailable::kKill}) {
    if (text == ToString(action)) return action;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'", text, "' is not freeze, poison or kill"));
}

std::string ToString(WhenUnavailable action) {
  switch (action) {
    case WhenUnavailable::kFreeze:
      return "freeze";
    case WhenUnavailable::kPoison:
      return "poison";
    case WhenUnavailable::kKill:
      return "kill";
  }
  return "?";
}

}  // namespace pagelift
