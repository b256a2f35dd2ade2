#ifndef PAGELIFT_LIB_PREFETCH_PREFETCH_MODE_H_
#define PAGELIFT_LIB_PREFETCH_PREFETCH_MODE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace pagelift {

// How much of what nobody waits for is brought.
struct PrefetchMode {
  enum class Kind {
    kFull,  // Everything, as fast as demand allows.
    kIdle,  // The same, but only while no thread waits.
    kRate,  // The same, but no more than so much a second.
    kOff,   // Only what is touched.
  };
  Kind kind = Kind::kFull;
  uint64_t mib_per_second = 0;  // Of kRate; at least 1.

  // "full", "idle", "off", or "rate=" and a number of MiB a second, 1 to
  // 1000000. kInvalidArgument says so.
  static absl::StatusOr<PrefetchMode> Parse(absl::string_view text);

  friend bool operator==(PrefetchMode a, PrefetchMode b) {
    return a.kind == b.kind && a.mib_per_second == b.mib_per_second;
  }
};

// As Parse() takes it.
std::string ToString(PrefetchMode mode);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PREFETCH_PREFETCH_MODE_H_
