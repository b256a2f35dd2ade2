#include "tests/bench/page_touching.h"

#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <random>
#include <utility>

#include "tests/e2e/targets/pattern.h"

namespace pagelift::bench {
namespace {

using e2e::kPageBytes;
using e2e::PageTag;

constexpr uint64_t kWordsOfPage = kPageBytes / sizeof(uint64_t);

uint64_t Nanoseconds(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<uint64_t>(now.tv_nsec);
}

// Any word but always the same one, so that no page is known by its beginning.
size_t WordToRead(uint64_t start) { return (start >> 32) % kWordsOfPage; }

}  // namespace

uint64_t RealtimeNanoseconds() { return Nanoseconds(CLOCK_REALTIME); }
uint64_t MonotonicNanoseconds() { return Nanoseconds(CLOCK_MONOTONIC); }

std::vector<uint32_t> SequentialOrder(size_t pages) {
  std::vector<uint32_t> order(pages);
  std::iota(order.begin(), order.end(), 0);
  return order;
}

std::vector<uint32_t> ShuffledOrder(size_t pages, uint64_t seed) {
  std::vector<uint32_t> order = SequentialOrder(pages);
  // Not std::shuffle, whose outcome depends on the library.
  std::mt19937_64 random(seed);
  for (size_t left = pages; left > 1; --left) {
    std::swap(order[left - 1], order[random() % left]);
  }
  return order;
}

void Latencies::Sort() { std::sort(nanoseconds.begin(), nanoseconds.end()); }

std::string Latencies::ToJson() const {
  auto at = [this](double quantile) {
    if (nanoseconds.empty()) return 0.0;
    const double last = static_cast<double>(nanoseconds.size() - 1);
    return static_cast<double>(
               nanoseconds[static_cast<size_t>(quantile * last + 0.5)]) /
           1e3;
  };
  char text[200];
  std::snprintf(text, sizeof(text),
                "{\"count\": %zu, \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, "
                "\"p99.9\": %.1f, \"max\": %.1f}",
                nanoseconds.size(), at(0.5), at(0.9), at(0.99), at(0.999),
                at(1));
  return text;
}

std::string TouchReport::ToJsonMembers() const {
  char text[250];
  std::snprintf(
      text, sizeof(text),
      "\"started_at_ns\": %llu, \"finished_at_ns\": %llu, \"touch_ms\": %.3f, "
      "\"touches\": %zu, \"wrong\": %zu, \"blocked_us\": ",
      static_cast<unsigned long long>(started_at),
      static_cast<unsigned long long>(finished_at),
      static_cast<double>(nanoseconds) / 1e6, touches, wrong);
  return text + blocked.ToJson();
}

void FillPages(std::byte* memory, size_t pages, uint64_t seed) {
  for (size_t page = 0; page < pages; ++page) {
    e2e::WritePattern(PageTag{seed, page, 0}, memory + page * kPageBytes);
  }
}

TouchReport TouchPages(const std::byte* memory,
                       const std::vector<uint32_t>& order, uint64_t seed) {
  TouchReport report;
  report.touches = order.size();
  // Written to before, so that recording costs no fault.
  std::vector<uint64_t>& blocked = report.blocked.nanoseconds;
  blocked.resize(order.size(), 1);
  size_t blocked_count = 0;
  report.started_at = RealtimeNanoseconds();
  const uint64_t start = MonotonicNanoseconds();
  uint64_t before = start;
  for (const uint32_t page : order) {
    const uint64_t first = e2e::PatternStart(PageTag{seed, page, 0});
    const size_t word = WordToRead(first);
    const uint64_t got = *reinterpret_cast<const volatile uint64_t*>(
        memory + page * kPageBytes + word * sizeof(uint64_t));
    const uint64_t after = MonotonicNanoseconds();
    if (got != first + word * e2e::PatternStep(first)) ++report.wrong;
    if (after - before > Latencies::kBlocked) {
      blocked[blocked_count++] = after - before;
    }
    before = after;
  }
  report.nanoseconds = MonotonicNanoseconds() - start;
  report.finished_at = RealtimeNanoseconds();
  blocked.resize(blocked_count);
  report.blocked.Sort();
  return report;
}

size_t CountWrongPages(const std::byte* memory, size_t pages, uint64_t seed) {
  size_t wrong = 0;
  for (size_t page = 0; page < pages; ++page) {
    if (e2e::FindWrongWord(PageTag{seed, page, 0}, memory + page * kPageBytes)
            .has_value()) {
      ++wrong;
    }
  }
  return wrong;
}

}  // namespace pagelift::bench
