#include "lib/prefetch/prefetch_mode.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace pagelift {
namespace {

constexpr uint64_t kMostMib = 1000000;

}  // namespace

absl::StatusOr<PrefetchMode> PrefetchMode::Parse(absl::string_view text) {
  if (text == "full") return PrefetchMode{Kind::kFull, 0};
  if (text == "idle") return PrefetchMode{Kind::kIdle, 0};
  if (text == "off") return PrefetchMode{Kind::kOff, 0};
  uint64_t mib = 0;
  absl::string_view number = text;
  if (absl::ConsumePrefix(&number, "rate=") && absl::SimpleAtoi(number, &mib) &&
      1 <= mib && mib <= kMostMib) {
    return PrefetchMode{Kind::kRate, mib};
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text, "\" is no way to prefetch: it is full, idle, ",
                   "off, or rate=N, N MiB a second from 1 to ", kMostMib));
}

std::string ToString(PrefetchMode mode) {
  switch (mode.kind) {
    case PrefetchMode::Kind::kFull:
      return "full";
    case PrefetchMode::Kind::kIdle:
      return "idle";
    case PrefetchMode::Kind::kRate:
      return absl::StrCat("rate=", mode.mib_per_second);
    case PrefetchMode::Kind::kOff:
      return "off";
  }
  return "?";
}

}  // namespace pagelift
