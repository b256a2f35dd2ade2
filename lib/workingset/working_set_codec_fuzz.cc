// What a damaged or malicious file may hold: the input, as the file of a
// checkpoint "c" of 1000 pages. What is taken holds no page twice and none
// outside of the image, is the same after another journey, and combines into an
// order of exactly its pages.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "google/protobuf/stubs/logging.h"
#include "lib/base/log.h"
#include "lib/workingset/combine_recordings.h"
#include "lib/workingset/working_set_codec.h"

namespace pagelift {
namespace {

constexpr char kId[] = "c";
constexpr uint64_t kPages = 1000;

// By page: in how many of the recordings it is.
using Times = std::vector<size_t>;

void Count(const Recording& recording, Times* times) {
  Times here(kPages);
  uint64_t pages = 0;
  for (const ImageRange& run : recording.runs()) {
    CHECK(!run.empty() && run.limit() <= ImagePage(kPages));
    for (uint64_t i = run.first.raw(); i < run.limit().raw(); ++i) {
      CHECK(++here[i] == 1);
      ++(*times)[i];
      ++pages;
    }
  }
  CHECK(recording.page_count() == PageCount(pages));
}

void CheckCombined(const WorkingSet& set, const Times& times) {
  const CombinedRecordings combined = CombineRecordings(set.recordings);
  Times in_order(kPages);
  Count(combined.order, &in_order);
  size_t shared = 0;
  for (uint64_t i = 0; i < kPages; ++i) {
    CHECK(in_order[i] == (times[i] > 0 ? 1 : 0));
    if (times[i] > 1) ++shared;
  }
  CHECK(combined.shared == PageCount(shared));
  uint64_t place = 0;
  for (const ImageRange& run : combined.order.runs()) {
    for (uint64_t i = run.first.raw(); i < run.limit().raw(); ++i) {
      CHECK((times[i] > 1) == (place++ < shared));
    }
  }
}

void CheckJourney(const WorkingSet& set) {
  absl::StatusOr<WorkingSet> again =
      DecodeWorkingSet(EncodeWorkingSet(set, kId), kId, PageCount(kPages));
  CHECK(again.ok()) << again.status();
  CHECK(again->recordings.size() == set.recordings.size());
  for (size_t i = 0; i < set.recordings.size(); ++i) {
    CHECK(again->recordings[i].recording.runs() ==
          set.recordings[i].recording.runs());
    CHECK(again->recordings[i].kept == set.recordings[i].kept);
  }
}

}  // namespace
}  // namespace pagelift

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const google::protobuf::LogSilencer silencer;  // It tells of all bad UTF-8.
  const absl::StatusOr<pagelift::WorkingSet> set = pagelift::DecodeWorkingSet(
      {reinterpret_cast<const char*>(data), size}, pagelift::kId,
      pagelift::PageCount(pagelift::kPages));
  if (!set.ok()) return 0;
  CHECK(set->recordings.size() <= pagelift::WorkingSet::kMostRecordings);
  pagelift::Times times(pagelift::kPages);
  for (const pagelift::KeptRecording& kept : set->recordings) {
    pagelift::Count(kept.recording, &times);
  }
  pagelift::CheckCombined(*set, times);
  pagelift::CheckJourney(*set);
  return 0;
}
