#ifndef PAGELIFT_LIB_UFFD_FEATURES_H_
#define PAGELIFT_LIB_UFFD_FEATURES_H_

#include <ostream>
#include <string>

#include "lib/uffd/enum_set.h"

namespace pagelift {

// What a kernel's userfaultfd may be able to do; ioctl_userfaultfd(2) says what
// each means. The values are the kernel's bit numbers.
enum class Feature : unsigned {
  kPagefaultFlagWp = 0,
  kEventFork = 1,  // Needs CAP_SYS_PTRACE in the process that asks for it.
  kEventRemap = 2,
  kEventRemove = 3,
  kMissingHugetlbfs = 4,
  kMissingShmem = 5,
  kEventUnmap = 6,
  kSigbus = 7,
  kThreadId = 8,
  kMinorHugetlbfs = 9,
  kMinorShmem = 10,
  kExactAddress = 11,
  kWpHugetlbfsShmem = 12,
  kWpUnpopulated = 13,
  kPoison = 14,
  kWpAsync = 15,
  kMove = 16,
};

using FeatureSet = EnumSet<Feature>;

constexpr FeatureSet operator|(Feature a, Feature b) {
  return FeatureSet(a) | FeatureSet(b);
}

// Without these four a target's layout cannot be followed.
inline constexpr FeatureSet kLayoutEvents =
    Feature::kEventFork | Feature::kEventRemap | Feature::kEventRemove |
    Feature::kEventUnmap;

// "EVENT_FORK, POISON", the kernel's own names; "none" for the empty set; a bit
// without a name as "bit 40".
std::string ToString(FeatureSet features);
std::ostream& operator<<(std::ostream& out, FeatureSet features);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_UFFD_FEATURES_H_
