#ifndef PAGELIFT_DAEMON_MIGRATION_ANSWERS_VMA_FLAG_READER_H_
#define PAGELIFT_DAEMON_MIGRATION_ANSWERS_VMA_FLAG_READER_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/memory/page.h"

namespace pagelift {

// The flags of one mapping, as the kernel has them: bits that are its own
// affair, see VmaFlagNames.
struct VmaFlags {
  PageRange pages;
  uint64_t bits = 0;
};

// Reads the flags of a process's mappings in time that does not depend on its
// memory: /proc/PID/smaps, where they also are, counts every page. By a BPF
// program (bpf(2)), so it takes CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN, and
// a kernel that describes itself in /sys/kernel/btf.
//
// Thread-safe.
class VmaFlagReader {
 public:
  // Takes some 40 ms: the kernel's description is read.
  static absl::StatusOr<VmaFlagReader> Load();
  ~VmaFlagReader();
  VmaFlagReader(VmaFlagReader&& other) noexcept;
  VmaFlagReader& operator=(VmaFlagReader&& other) noexcept;

  // Of the process `pid`, in address order. kNotFound if there is none, or it
  // has no memory.
  absl::StatusOr<std::vector<VmaFlags>> Read(pid_t pid) const;

 private:
  struct Program;
  explicit VmaFlagReader(std::unique_ptr<Program> program);

  std::unique_ptr<Program> program_;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_ANSWERS_VMA_FLAG_READER_H_
