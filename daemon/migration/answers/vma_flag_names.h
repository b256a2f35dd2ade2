#ifndef PAGELIFT_DAEMON_MIGRATION_ANSWERS_VMA_FLAG_NAMES_H_
#define PAGELIFT_DAEMON_MIGRATION_ANSWERS_VMA_FLAG_NAMES_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "daemon/migration/answers/vma_flag_reader.h"

namespace pagelift {

// What /proc/PID/smaps calls the flags of a mapping: "rd", "wr", ... (proc(5)).
// Which bit is which differs between kernels, so it is learned from the running
// one: by mappings of our own, of which both are known. Immutable.
class VmaFlagNames {
 public:
  // Maps, marks and unmaps a few pages of this process.
  static absl::StatusOr<VmaFlagNames> Learn(const VmaFlagReader& reader);

  // The names of `bits` as a "VmFlags:" line has them, "rd wr mr mw me ac".
  // Nothing if we do not know one of them.
  std::optional<std::string> Of(uint64_t bits) const;

  // Of a mapping in which there may be guards (MADV_GUARD_INSTALL).
  static constexpr char kMaybeGuarded[] = "gu";
  // Whether the kernel says that; older ones do not.
  bool names_guards() const { return names_guards_; }

 private:
  // Takes what is said of one mapping. kInternal if it contradicts another.
  absl::Status Take(uint64_t bits, absl::string_view names);

  std::array<std::string, 64> names_;  // Empty: not known.
  bool names_guards_ = false;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_ANSWERS_VMA_FLAG_NAMES_H_
