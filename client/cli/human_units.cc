#include "client/cli/human_units.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace pagelift {

std::string HumanBytes(uint64_t bytes) {
  static constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return absl::StrCat(bytes, " B");
  double value = static_cast<double>(bytes) / 1024;
  int unit = 0;
  while (value >= 1024 && unit < 4) {
    value /= 1024;
    ++unit;
  }
  return absl::StrFormat("%.1f %s", value, kUnits[unit]);
}

std::string HumanCount(uint64_t count) {
  std::string digits = absl::StrCat(count);
  for (size_t left = digits.size(); left > 3; left -= 3) {
    digits.insert(left - 3, ",");
  }
  return digits;
}

std::string HumanMicroseconds(uint64_t us) {
  if (us < 1000) return absl::StrCat(us, " us");
  if (us < 1000 * 1000) return absl::StrFormat("%.1f ms", us / 1e3);
  if (us < 60 * 1000 * 1000) return absl::StrFormat("%.2f s", us / 1e6);
  const uint64_t seconds = us / 1000000;
  return absl::StrCat(seconds / 60, " min ", seconds % 60, " s");
}

}  // namespace pagelift
