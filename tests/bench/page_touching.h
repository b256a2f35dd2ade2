#ifndef TESTS_BENCH_PAGE_TOUCHING_H_
#define TESTS_BENCH_PAGE_TOUCHING_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace pagelift::bench {

// The order in which pages are touched: the same for the same seed.
std::vector<uint32_t> SequentialOrder(size_t pages);
std::vector<uint32_t> ShuffledOrder(size_t pages, uint64_t seed);

// How long touches took, sorted. One that takes longer than kBlocked has waited
// for its page.
struct Latencies {
  static constexpr uint64_t kBlocked = 3'000;  // Nanoseconds.

  std::vector<uint64_t> nanoseconds;

  void Sort();
  // {"count": .., "p50": .., "p90": .., "p99": .., "p99.9": .., "max": ..}, in
  // microseconds.
  std::string ToJson() const;
};

struct TouchReport {
  uint64_t started_at = 0;   // CLOCK_REALTIME, in nanoseconds, for comparison
  uint64_t finished_at = 0;  // with what others have seen.
  uint64_t nanoseconds = 0;  // By CLOCK_MONOTONIC.
  size_t touches = 0;
  size_t wrong = 0;  // Words that were not what they ought to be.
  Latencies blocked;

  // Members of a JSON object, without the braces.
  std::string ToJsonMembers() const;
};

// Fills `pages` pages at `memory` with the pattern of `seed`.
void FillPages(std::byte* memory, size_t pages, uint64_t seed);

// Reads one word of each page of `order` and compares it.
TouchReport TouchPages(const std::byte* memory,
                       const std::vector<uint32_t>& order, uint64_t seed);

// Reads every word of all pages; how many pages have a wrong one.
size_t CountWrongPages(const std::byte* memory, size_t pages, uint64_t seed);

uint64_t RealtimeNanoseconds();
uint64_t MonotonicNanoseconds();

}  // namespace pagelift::bench

#endif  // TESTS_BENCH_PAGE_TOUCHING_H_
