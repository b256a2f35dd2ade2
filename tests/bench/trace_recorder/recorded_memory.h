#ifndef TESTS_BENCH_TRACE_RECORDER_RECORDED_MEMORY_H_
#define TESTS_BENCH_TRACE_RECORDER_RECORDED_MEMORY_H_

#include <cstddef>
#include <optional>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lib/memory/page.h"
#include "tests/stress/lazify/anonymous_memory.h"
#include "tests/stress/lazify/stopped_process.h"

namespace pagelift::bench {

// What a process had in its anonymous memory when it was stopped, by the
// addresses at which it is by now.
//
// Thread-compatible.
class RecordedMemory {
 public:
  static absl::StatusOr<RecordedMemory> Of(
      const stress::StoppedProcess& process,
      const std::vector<stress::AnonymousMapping>& mappings);

  // Nothing if there was nothing, or if it has been dropped.
  std::optional<absl::Span<const std::byte>> Find(PageId page) const;
  // The lowest page that there is.
  std::optional<PageId> First() const;

  void Erase(PageRange pages);
  void Move(PageRange from, PageId to);

 private:
  std::vector<std::byte> bytes_;
  absl::btree_map<PageId, size_t> offsets_;
};

}  // namespace pagelift::bench

#endif  // TESTS_BENCH_TRACE_RECORDER_RECORDED_MEMORY_H_
