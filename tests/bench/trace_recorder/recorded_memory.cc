#include "tests/bench/trace_recorder/recorded_memory.h"

#include <utility>

#include "lib/base/status_macros.h"

namespace pagelift::bench {

absl::StatusOr<RecordedMemory> RecordedMemory::Of(
    const stress::StoppedProcess& process,
    const std::vector<stress::AnonymousMapping>& mappings) {
  RecordedMemory memory;
  for (const stress::AnonymousMapping& mapping : mappings) {
    for (PageRange run : mapping.present) {
      const size_t offset = memory.bytes_.size();
      memory.bytes_.resize(offset + run.count.bytes());
      RETURN_IF_ERROR(process.Read(
          run.first, absl::MakeSpan(memory.bytes_).subspan(offset)));
      for (uint64_t i = 0; i < run.count.raw(); ++i) {
        memory.offsets_[run.first + PageCount(i)] = offset + i * kPageSize;
      }
    }
  }
  return memory;
}

std::optional<absl::Span<const std::byte>> RecordedMemory::Find(
    PageId page) const {
  const auto found = offsets_.find(page);
  if (found == offsets_.end()) return std::nullopt;
  return absl::MakeConstSpan(bytes_).subspan(found->second, kPageSize);
}

std::optional<PageId> RecordedMemory::First() const {
  if (offsets_.empty()) return std::nullopt;
  return offsets_.begin()->first;
}

void RecordedMemory::Erase(PageRange pages) {
  offsets_.erase(offsets_.lower_bound(pages.first),
                 offsets_.lower_bound(pages.limit()));
}

void RecordedMemory::Move(PageRange from, PageId to) {
  std::vector<std::pair<PageId, size_t>> moved;
  for (auto it = offsets_.lower_bound(from.first);
       it != offsets_.end() && it->first < from.limit(); ++it) {
    moved.emplace_back(to + (it->first - from.first), it->second);
  }
  Erase(from);
  Erase({to, from.count});
  offsets_.insert(moved.begin(), moved.end());
}

}  // namespace pagelift::bench
