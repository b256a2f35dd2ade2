#include "tests/bench/trace_recorder/touch_recorder.h"

#include <optional>
#include <utility>
#include <variant>

#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/status_macros.h"
#include "lib/uffd/install_result.h"

namespace pagelift::bench {
namespace {

using Outcome = InstallResult::Outcome;

uint64_t LimitOf(PageRange range) { return AddressOf(range.limit()); }

}  // namespace

void WriteRegion(const stress::AnonymousMapping& mapping, std::ostream& trace) {
  trace << absl::StreamFormat("V %x %x %s\n", AddressOf(mapping.pages.first),
                              LimitOf(mapping.pages),
                              mapping.is_stack ? "[stack]" : "");
  for (PageRange run : mapping.present) {
    for (uint64_t i = 0; i < run.count.raw(); ++i) {
      trace << absl::StreamFormat("P %x\n",
                                  AddressOf(run.first + PageCount(i)));
    }
  }
}

TouchRecorder::TouchRecorder(const UserfaultFd& uffd, RecordedMemory& memory,
                             std::ostream& trace)
    : uffd_(uffd), memory_(memory), trace_(trace), start_(MonotonicNow()) {}

int64_t TouchRecorder::Now() const {
  return absl::ToInt64Nanoseconds(MonotonicNow() - start_);
}

absl::Status TouchRecorder::ServeEvents() {
  ASSIGN_OR_RETURN(absl::Span<Event> events, uffd_.ReadEvents(events_));
  for (Event& event : events) Handle(event);
  std::vector<Waiting> left;
  for (const Waiting& waiting : faults_) {
    if (!Serve(waiting)) left.push_back(waiting);
  }
  faults_ = std::move(left);
  return absl::OkStatus();
}

void TouchRecorder::Handle(Event& event) {
  if (const auto* fault = std::get_if<PageFault>(&event)) {
    faults_.push_back({*fault, MonotonicNow()});
  } else if (const auto* remapped = std::get_if<Remapped>(&event)) {
    memory_.Move(remapped->from, remapped->to);
    trace_ << absl::StreamFormat(
        "M %d %x %x %x\n", Now(), AddressOf(remapped->from.first),
        AddressOf(remapped->to), remapped->from.count.bytes());
  } else {
    const auto* removed = std::get_if<Removed>(&event);
    const auto* unmapped = std::get_if<Unmapped>(&event);
    if (removed == nullptr && unmapped == nullptr) return;
    const PageRange range =
        removed != nullptr ? removed->range : unmapped->range;
    memory_.Erase(range);
    trace_ << absl::StreamFormat("R %d %x %x\n", Now(), AddressOf(range.first),
                                 LimitOf(range));
  }
}

bool TouchRecorder::Serve(const Waiting& waiting) {
  const PageId page = waiting.fault.page;
  const std::optional<absl::Span<const std::byte>> contents =
      memory_.Find(page);
  const InstallResult result =
      contents.has_value() ? uffd_.Copy(page, *contents, WakeMode::kWake)
                           : uffd_.Zero({page, PageCount(1)}, WakeMode::kWake);
  if (result.outcome == Outcome::kEventPending ||
      result.outcome == Outcome::kNoMemory) {
    return false;
  }
  if (result.outcome != Outcome::kInstalled) {
    uffd_.Wake({page, PageCount(1)}).IgnoreError();
  }
  trace_ << absl::StreamFormat(
      "F %d %x %d %d %d %d\n", absl::ToInt64Nanoseconds(waiting.since - start_),
      AddressOf(page), waiting.fault.thread, waiting.fault.is_write ? 1 : 0,
      contents.has_value() ? 0 : 1, Now());
  return true;
}

void TouchRecorder::GiveBackTheRest() {
  while (std::optional<PageId> page = memory_.First()) {
    const InstallResult result =
        uffd_.Copy(*page, *memory_.Find(*page), WakeMode::kWake);
    if (result.outcome == Outcome::kTargetGone) return;
    if (result.outcome == Outcome::kEventPending) {
      if (!ServeEvents().ok()) return;
      continue;
    }
    memory_.Erase({*page, PageCount(1)});
  }
}

}  // namespace pagelift::bench
