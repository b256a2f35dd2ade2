#include "lib/workingset/recording_proto.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/base/status_macros.h"

namespace pagelift {
namespace {

absl::Status CheckSize(const v1::Recording& message) {
  const auto runs = static_cast<size_t>(message.steps_size());
  if (runs > Recording::kMostRuns) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a recording of ", runs, " runs; at most ",
                     Recording::kMostRuns, " are taken"));
  }
  if (message.page_counts_size() != message.steps_size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a recording of ", runs, " runs with ",
                     message.page_counts_size(), " lengths"));
  }
  uint64_t pages = 0;
  for (uint32_t count : message.page_counts()) pages += count;
  if (pages > Recording::kMostPages.raw()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a recording of ", pages, " pages; at most ",
                     Recording::kMostPages.raw(), " are taken"));
  }
  return absl::OkStatus();
}

absl::Status CheckNoPageTwice(std::vector<ImageRange> runs) {
  std::sort(runs.begin(), runs.end(),
            [](const ImageRange& a, const ImageRange& b) {
              return a.first < b.first;
            });
  for (size_t i = 1; i < runs.size(); ++i) {
    if (runs[i].first < runs[i - 1].limit()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "a recording that names page ", runs[i].first.raw(), " twice"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

v1::Recording EncodeRecording(const Recording& recording) {
  v1::Recording message;
  ImagePage limit;
  for (const ImageRange& run : recording.runs()) {
    message.add_steps(static_cast<int64_t>(run.first.raw() - limit.raw()));
    message.add_page_counts(static_cast<uint32_t>(run.count.raw()));
    limit = run.limit();
  }
  return message;
}

absl::StatusOr<Recording> DecodeRecording(const v1::Recording& message,
                                          PageCount page_count) {
  RETURN_IF_ERROR(CheckSize(message));
  // Not into a Recording at once: it must not hold a page twice.
  std::vector<ImageRange> runs;
  uint64_t limit = 0;
  for (int i = 0; i < message.steps_size(); ++i) {
    const int64_t step = message.steps(i);
    const uint64_t first = limit + static_cast<uint64_t>(step);
    const uint64_t count = message.page_counts(i);
    const bool wraps = (step < 0) != (first < limit);
    if (wraps || first >= page_count.raw() ||
        count > page_count.raw() - first) {
      return absl::InvalidArgumentError(absl::StrCat(
          "a recording whose run ", i, ", of ", count, " pages, ", step,
          " from page ", limit, ", is outside of an image of ",
          page_count.raw(), " pages"));
    }
    if (count == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("a recording whose run ", i, " is empty"));
    }
    runs.push_back({ImagePage(first), PageCount(count)});
    limit = first + count;
  }
  RETURN_IF_ERROR(CheckNoPageTwice(runs));
  Recording recording;
  for (const ImageRange& run : runs) recording.Append(run);
  return recording;
}

}  // namespace pagelift
