#include "tests/bench/prefetch_sim/trace.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lib/base/status_macros.h"

namespace pagelift::bench {
namespace {

class TraceParser {
 public:
  absl::Status Take(absl::string_view line) {
    const std::vector<absl::string_view> words =
        absl::StrSplit(line, ' ', absl::SkipEmpty());
    bool taken = false;
    switch (line[0]) {
      case 'V':
        taken = TakeRegion(words);
        break;
      case 'P':
        taken = TakePage(words);
        break;
      case 'F':
        taken = TakeTouch(words);
        break;
      case 'M':
        taken = TakeMove(words);
        break;
      case 'R':
        taken = true;
        break;
    }
    if (taken) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("not of a trace: ", line));
  }

  Trace Finish() {
    std::sort(trace_.regions.begin(), trace_.regions.end(),
              [](PageRange a, PageRange b) { return a.first < b.first; });
    std::sort(trace_.pages.begin(), trace_.pages.end());
    trace_.threads = threads_.size();
    return std::move(trace_);
  }

 private:
  using Words = std::vector<absl::string_view>;

  struct Thread {
    size_t number;
    absl::Duration had_page;  // The one before.
    // Of touches that are left out.
    absl::Duration think;
  };

  bool TakeRegion(const Words& words) {
    uint64_t start = 0;
    uint64_t limit = 0;
    if (words.size() < 3 || !absl::SimpleHexAtoi(words[1], &start) ||
        !absl::SimpleHexAtoi(words[2], &limit) || limit <= start) {
      return false;
    }
    trace_.regions.push_back(PagesOf(start, limit));
    return true;
  }

  bool TakePage(const Words& words) {
    uint64_t address = 0;
    if (words.size() != 2 || !absl::SimpleHexAtoi(words[1], &address)) {
      return false;
    }
    trace_.pages.push_back(PageContaining(address));
    return true;
  }

  bool TakeTouch(const Words& words) {
    int64_t began = 0;
    int64_t ended = 0;
    uint64_t address = 0;
    uint64_t id = 0;
    if (words.size() != 7 || !absl::SimpleAtoi(words[1], &began) ||
        !absl::SimpleHexAtoi(words[2], &address) ||
        !absl::SimpleAtoi(words[3], &id) ||
        !absl::SimpleAtoi(words[6], &ended)) {
      return false;
    }
    Thread& thread =
        threads_.try_emplace(id, Thread{threads_.size(), {}, {}}).first->second;
    // It may have been waiting already when the clock began to run.
    thread.think += std::max(absl::ZeroDuration(),
                             absl::Nanoseconds(began) - thread.had_page);
    thread.had_page = absl::Nanoseconds(ended);
    if (words[5] == "0") {
      trace_.touches.push_back(
          {thread.number, thread.think, TakenFrom(PageContaining(address))});
      thread.think = absl::ZeroDuration();
    }
    return true;
  }

  bool TakeMove(const Words& words) {
    uint64_t from = 0;
    uint64_t to = 0;
    uint64_t length = 0;
    if (words.size() != 5 || !absl::SimpleHexAtoi(words[2], &from) ||
        !absl::SimpleHexAtoi(words[3], &to) ||
        !absl::SimpleHexAtoi(words[4], &length)) {
      return false;
    }
    const PageRange range = PagesOf(from, from + length);
    std::vector<PageId> origins;
    for (uint64_t i = 0; i < range.count.raw(); ++i) {
      origins.push_back(TakenFrom(range.first + PageCount(i)));
    }
    for (uint64_t i = 0; i < range.count.raw(); ++i) {
      moved_[PageContaining(to) + PageCount(i)] = origins[i];
    }
    return true;
  }

  // Where what is at `page` by now was at first.
  PageId TakenFrom(PageId page) const {
    const auto found = moved_.find(page);
    return found == moved_.end() ? page : found->second;
  }

  Trace trace_;
  absl::btree_map<uint64_t, Thread> threads_;
  absl::flat_hash_map<PageId, PageId> moved_;
};

// A touch of what is not among the pages says nothing.
void KeepTouchesOfPages(Trace& trace) {
  std::vector<absl::Duration> think(trace.threads);
  std::vector<Trace::Touch> kept;
  for (Trace::Touch touch : trace.touches) {
    absl::Duration& earlier = think[touch.thread];
    touch.think += earlier;
    const bool known =
        std::binary_search(trace.pages.begin(), trace.pages.end(), touch.page);
    earlier = known ? absl::ZeroDuration() : touch.think;
    if (known) kept.push_back(touch);
  }
  trace.touches = std::move(kept);
}

// The number of the region that `page` lies in.
std::optional<size_t> RegionOf(const Trace& trace, PageId page) {
  const auto after = std::upper_bound(
      trace.regions.begin(), trace.regions.end(), page,
      [](PageId p, PageRange region) { return p < region.first; });
  if (after == trace.regions.begin() || !std::prev(after)->Contains(page)) {
    return std::nullopt;
  }
  return std::prev(after) - trace.regions.begin();
}

}  // namespace

absl::StatusOr<Trace> ParseTrace(absl::string_view text) {
  TraceParser parser;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    RETURN_IF_ERROR(parser.Take(line));
  }
  Trace trace = parser.Finish();
  KeepTouchesOfPages(trace);
  if (trace.touches.empty()) {
    return absl::InvalidArgumentError("a trace without touches");
  }
  return trace;
}

std::vector<PageId> OrderOfTouches(const Trace& other, const Trace& trace) {
  absl::flat_hash_set<PageId> starts;
  for (PageRange region : trace.regions) starts.insert(region.first);
  absl::flat_hash_set<PageId> left(trace.pages.begin(), trace.pages.end());
  std::vector<PageId> order;
  for (const Trace::Touch& touch : other.touches) {
    const std::optional<size_t> region = RegionOf(other, touch.page);
    if (!region.has_value()) continue;
    PageId page = touch.page;
    if (!starts.contains(other.regions[*region].first)) {
      if (trace.regions.size() <= *region) continue;
      page = trace.regions[*region].first +
             (touch.page - other.regions[*region].first);
    }
    if (left.erase(page) > 0) order.push_back(page);
  }
  return order;
}

}  // namespace pagelift::bench
