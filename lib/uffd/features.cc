#include "lib/uffd/features.h"

#include "absl/strings/str_cat.h"

namespace pagelift {
namespace {

constexpr const char* kNames[] = {
    "PAGEFAULT_FLAG_WP",
    "EVENT_FORK",
    "EVENT_REMAP",
    "EVENT_REMOVE",
    "MISSING_HUGETLBFS",
    "MISSING_SHMEM",
    "EVENT_UNMAP",
    "SIGBUS",
    "THREAD_ID",
    "MINOR_HUGETLBFS",
    "MINOR_SHMEM",
    "EXACT_ADDRESS",
    "WP_HUGETLBFS_SHMEM",
    "WP_UNPOPULATED",
    "POISON",
    "WP_ASYNC",
    "MOVE",
};
constexpr unsigned kNamed = sizeof(kNames) / sizeof(kNames[0]);
static_assert(kNamed == static_cast<unsigned>(Feature::kMove) + 1);

}  // namespace

std::string ToString(FeatureSet features) {
  if (features.empty()) return "none";
  std::string text;
  for (unsigned bit = 0; bit < 64; ++bit) {
    if (((features.bits() >> bit) & 1) == 0) continue;
    if (!text.empty()) text += ", ";
    if (bit < kNamed) {
      text += kNames[bit];
    } else {
      absl::StrAppend(&text, "bit ", bit);
    }
  }
  return text;
}

std::ostream& operator<<(std::ostream& out, FeatureSet features) {
  return out << ToString(features);
}

}  // namespace pagelift
