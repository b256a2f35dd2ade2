// Run with: bazel run --config=opt //lib/memory:page_map_benchmark
//
// The argument is the number of extents. Maps are sparse and cover 1 TiB at a
// million extents: 256 pages each, with gaps between them. Those of whole
// faults have 4 pages an extent, up to ten million of them.

#include <cstddef>
#include <cstdint>
#include <random>

#include "benchmark/benchmark.h"
#include "lib/base/log.h"
#include "lib/memory/page.h"
#include "lib/memory/page_map.h"
#include "lib/memory/page_state.h"

namespace pagelift {
namespace {

constexpr PageCount kPagesEach(256);
constexpr uint64_t kStride = 700;
constexpr PageCount kPagesOfShort(4);
constexpr uint64_t kShortStride = 7;
constexpr PageRange kAll = PagesFrom(PageId(0));

PageId FirstOf(uint64_t extent) { return PageId(extent * kStride); }

PageRange ShortExtent(uint64_t extent) {
  return {PageId(extent * kShortStride), kPagesOfShort};
}

PageMap MakeMap(uint64_t extents) {
  PageMap map;
  for (uint64_t i = 0; i < extents; ++i) {
    CHECK(map.Add({FirstOf(i), kPagesEach}, ImagePage(i * kPagesEach.raw()))
              .ok());
  }
  return map;
}

PageMap MakeShortExtents(uint64_t extents) {
  PageMap map;
  for (uint64_t i = 0; i < extents; ++i) {
    CHECK(map.Add(ShortExtent(i), ImagePage(i * kPagesOfShort.raw())).ok());
  }
  return map;
}

void MoveAllTo(PageMap& map, PageState to) {
  map.TransitionRange(kAll,
                      PageState::kMissing | PageState::kRequested |
                          PageStates(PageState::kPresent),
                      to);
}

// Kept from one benchmark to the next, since millions take long to make. All
// pages are missing.
PageMap& ShortExtents(uint64_t extents) {
  static auto* map = new PageMap();
  if (map->extent_count() != extents) {
    *map = PageMap();
    *map = MakeShortExtents(extents);
  }
  MoveAllTo(*map, PageState::kMissing);
  return *map;
}

uint64_t ExtentsOf(const benchmark::State& state) {
  return static_cast<uint64_t>(state.range(0));
}

// Extents, pages and numbers, at random, ahead of time.
class RandomPages {
 public:
  explicit RandomPages(uint64_t extents) {
    std::mt19937_64 random(1);
    for (PageId& page : pages_) {
      page =
          FirstOf(random() % extents) + PageCount(random() % kPagesEach.raw());
    }
  }
  PageId Next() { return pages_[next_++ % kCount]; }

 private:
  static constexpr size_t kCount = size_t{1} << 16;
  PageId pages_[kCount];
  size_t next_ = 0;
};

void ReportMemory(const PageMap& map, benchmark::State& state) {
  double bytes = static_cast<double>(map.MemoryUsage());
  state.counters["bytes_per_extent"] =
      bytes / static_cast<double>(map.extent_count());
  state.counters["MiB"] = bytes / (1 << 20);
  state.counters["percent_of_tracked"] =
      100 * bytes / static_cast<double>(map.counts().total().bytes());
}

void BM_Add(benchmark::State& state) {
  for (auto _ : state) {
    PageMap map = MakeMap(ExtentsOf(state));
    state.PauseTiming();
    ReportMemory(map, state);
    map = PageMap();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void BM_Find(benchmark::State& state) {
  PageMap map = MakeMap(ExtentsOf(state));
  RandomPages pages(ExtentsOf(state));
  for (auto _ : state) benchmark::DoNotOptimize(map.Find(pages.Next()));
}

void BM_Transition(benchmark::State& state) {
  PageMap map = MakeMap(ExtentsOf(state));
  RandomPages pages(ExtentsOf(state));
  for (auto _ : state) {
    PageId page = pages.Next();
    if (!map.Transition(page, PageState::kMissing, PageState::kRequested)) {
      map.Transition(page, PageState::kRequested | PageState::kPresent,
                     PageState::kPresent);
    }
  }
}

// Sixteen pages, the size of an install.
void BM_TransitionRange(benchmark::State& state) {
  PageMap map = MakeMap(ExtentsOf(state));
  RandomPages pages(ExtentsOf(state));
  for (auto _ : state) {
    map.TransitionRange({pages.Next(), PageCount(16)},
                        PageState::kMissing | PageState::kPresent,
                        PageState::kPresent);
  }
}

void BM_ForEachTarget(benchmark::State& state) {
  PageMap map = MakeMap(ExtentsOf(state));
  std::mt19937_64 random(1);
  for (auto _ : state) {
    ImagePage image(random() % (ExtentsOf(state) * kPagesEach.raw()));
    map.ForEachTarget({image, PageCount(16)}, PageState::kMissing,
                      [](const PageMap::Piece& piece) {
                        benchmark::DoNotOptimize(piece.pages);
                      });
  }
}

void BM_EraseAndAdd(benchmark::State& state) {
  PageMap map = MakeMap(ExtentsOf(state));
  std::mt19937_64 random(1);
  for (auto _ : state) {
    uint64_t i = random() % ExtentsOf(state);
    PageRange pages{FirstOf(i), kPagesEach};
    map.Erase(pages);
    CHECK(map.Add(pages, ImagePage(i * kPagesEach.raw())).ok());
  }
}

// A whole extent goes to the gap after it, and comes back.
void BM_MoveThereAndBack(benchmark::State& state) {
  PageMap map = MakeMap(ExtentsOf(state));
  std::mt19937_64 random(1);
  for (auto _ : state) {
    PageId first = FirstOf(random() % ExtentsOf(state));
    map.Move(first, first + PageCount(300), kPagesEach);
    map.Move(first + PageCount(300), first, kPagesEach);
  }
}

// The middle of an extent leaves it in three, and joins it again.
void BM_SplitAndMerge(benchmark::State& state) {
  PageMap map = MakeMap(ExtentsOf(state));
  std::mt19937_64 random(1);
  for (auto _ : state) {
    PageId first = FirstOf(random() % ExtentsOf(state)) + PageCount(100);
    map.Move(first, first + PageCount(300), PageCount(50));
    map.Move(first + PageCount(300), first, PageCount(50));
  }
}

// As prefetch does it: on from where the last claim ended.
void BM_ClaimInOrder(benchmark::State& state) {
  PageMap map = MakeMap(ExtentsOf(state));
  PageId from(0);
  for (auto _ : state) {
    auto piece = map.ClaimMissing(PagesFrom(from), PageCount(16));
    if (!piece.has_value()) {
      state.PauseTiming();
      map.TransitionRange({PageId(0), PageCount(~uint64_t{0})},
                          PageState::kRequested, PageState::kMissing);
      from = PageId(0);
      state.ResumeTiming();
      continue;
    }
    from = piece->pages.limit();
  }
}

// All is present but one page at the far end, and the search begins at the near
// one: the first claim walks all the way, the others do not.
void BM_ClaimTheLastOne(benchmark::State& state) {
  PageMap map = MakeMap(ExtentsOf(state));
  map.TransitionRange({PageId(0), PageCount(~uint64_t{0})}, PageState::kMissing,
                      PageState::kPresent);
  PageId page = FirstOf(ExtentsOf(state) - 1) + PageCount(200);
  map.Transition(page, PageState::kPresent, PageState::kMissing);
  for (auto _ : state) {
    CHECK(map.ClaimMissing(kAll, PageCount(16)).has_value());
    map.Transition(page, PageState::kRequested, PageState::kMissing);
  }
}

void BM_AddShort(benchmark::State& state) {
  for (auto _ : state) {
    PageMap map = MakeShortExtents(ExtentsOf(state));
    state.PauseTiming();
    ReportMemory(map, state);
    map = PageMap();
    state.ResumeTiming();
  }
}

// Numbers below `limit`, a power of ten, each once in `limit`: one after the
// other, or in an order that finds nothing in a cache.
enum class Order : uint64_t { kNext = 1, kScattered = 2654435761 };
class Numbers {
 public:
  Numbers(uint64_t limit, Order order)
      : limit_(limit), step_(static_cast<uint64_t>(order)) {}
  uint64_t Next() { return number_ = (number_ + step_) % limit_; }

 private:
  uint64_t limit_;
  uint64_t step_;
  uint64_t number_ = 0;
};

// All that is asked of a map for a fault and for what is brought along with it,
// on both sides: the first fault of each extent.
void BM_Fault(benchmark::State& state, Order order) {
  PageMap& map = ShortExtents(ExtentsOf(state));
  Numbers extents(ExtentsOf(state), order);
  uint64_t left = ExtentsOf(state);
  for (auto _ : state) {
    if (left-- == 0) {
      state.PauseTiming();
      MoveAllTo(map, PageState::kMissing);
      left = ExtentsOf(state) - 1;
      state.ResumeTiming();
    }
    PageId page = ShortExtent(extents.Next()).first + PageCount(2);
    benchmark::DoNotOptimize(map.Find(page));
    CHECK(map.Transition(page, PageState::kMissing, PageState::kRequested));
    auto after = map.ClaimMissing(PagesFrom(page), PageCount(8));
    auto before =
        map.ClaimLastMissing(PageRange::Between(PageId(0), page), PageCount(8));
    CHECK(after.has_value() && before.has_value());
    map.TransitionRange(
        PageRange::Between(before->pages.first, after->pages.limit()),
        PageState::kRequested, PageState::kPresent);
  }
  ReportMemory(map, state);
}

// The same late in a restore: all else is present but the first extent and the
// last, which are given back each time.
void BM_LateFault(benchmark::State& state, Order order) {
  PageMap& map = ShortExtents(ExtentsOf(state));
  MoveAllTo(map, PageState::kPresent);
  const PageRange first = ShortExtent(0);
  const PageRange last = ShortExtent(ExtentsOf(state) - 1);
  const PageRange between = PageRange::Between(first.limit(), last.first);
  map.TransitionRange(first, PageState::kPresent, PageState::kMissing);
  map.TransitionRange(last, PageState::kPresent, PageState::kMissing);
  CHECK(!map.ClaimMissing(between, PageCount(1)).has_value());
  Numbers extents(ExtentsOf(state), order);
  for (auto _ : state) {
    PageId page = ShortExtent(extents.Next()).first + PageCount(2);
    if (!between.Contains(page)) continue;
    benchmark::DoNotOptimize(map.Find(page));
    CHECK(map.Transition(page, PageState::kPresent, PageState::kRequested));
    auto after = map.ClaimMissing(PagesFrom(page), PageCount(8));
    auto before =
        map.ClaimLastMissing(PageRange::Between(PageId(0), page), PageCount(8));
    CHECK(after.has_value() && after->pages == last);
    CHECK(before.has_value() && before->pages == first);
    map.Transition(page, PageState::kRequested, PageState::kPresent);
    map.TransitionRange(first, PageState::kRequested, PageState::kMissing);
    map.TransitionRange(last, PageState::kRequested, PageState::kMissing);
  }
  ReportMemory(map, state);
}

// Runs of the image, as a working set asks for them.
void BM_ClaimImage(benchmark::State& state, Order order) {
  PageMap& map = ShortExtents(ExtentsOf(state));
  Numbers extents(ExtentsOf(state), order);
  uint64_t left = ExtentsOf(state);
  for (auto _ : state) {
    if (left-- == 0) {
      state.PauseTiming();
      MoveAllTo(map, PageState::kMissing);
      left = ExtentsOf(state) - 1;
      state.ResumeTiming();
    }
    ImagePage image(extents.Next() * kPagesOfShort.raw());
    CHECK(map.ClaimImage({image, kPagesOfShort}, PageCount(8)).has_value());
  }
}

// What the first claim costs that has to pass by all of the map.
void BM_ClaimPastAll(benchmark::State& state) {
  PageMap& map = ShortExtents(ExtentsOf(state));
  for (auto _ : state) {
    state.PauseTiming();
    MoveAllTo(map, PageState::kMissing);
    MoveAllTo(map, PageState::kPresent);
    state.ResumeTiming();
    CHECK(!map.ClaimLastMissing(kAll, PageCount(8)).has_value());
  }
}

void BM_Fork(benchmark::State& state) {
  PageMap map = MakeMap(ExtentsOf(state));
  for (auto _ : state) {
    PageMap child = map.Fork();
    state.PauseTiming();
    ReportMemory(child, state);
    child = PageMap();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void SparseMaps(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("extents")->Arg(1 << 10)->Arg(1 << 16)->Arg(1 << 20);
}

void ShortExtentMaps(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("extents")->RangeMultiplier(10)->Range(1000, 10'000'000);
}

BENCHMARK(BM_Add)->Apply(SparseMaps)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_Find)->Apply(SparseMaps);
BENCHMARK(BM_Transition)->Apply(SparseMaps);
BENCHMARK(BM_TransitionRange)->Apply(SparseMaps);
BENCHMARK(BM_ForEachTarget)->Apply(SparseMaps);
BENCHMARK(BM_EraseAndAdd)->Apply(SparseMaps);
BENCHMARK(BM_MoveThereAndBack)->Apply(SparseMaps);
BENCHMARK(BM_SplitAndMerge)->Apply(SparseMaps);
BENCHMARK(BM_ClaimInOrder)->Apply(SparseMaps);
BENCHMARK(BM_ClaimTheLastOne)->Apply(SparseMaps);
BENCHMARK(BM_Fork)->Apply(SparseMaps)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_AddShort)
    ->Apply(ShortExtentMaps)
    ->Unit(benchmark::kMillisecond)
    ->Iterations(1);
BENCHMARK_CAPTURE(BM_Fault, in_order, Order::kNext)->Apply(ShortExtentMaps);
BENCHMARK_CAPTURE(BM_Fault, scattered, Order::kScattered)
    ->Apply(ShortExtentMaps);
BENCHMARK_CAPTURE(BM_LateFault, in_order, Order::kNext)->Apply(ShortExtentMaps);
BENCHMARK_CAPTURE(BM_LateFault, scattered, Order::kScattered)
    ->Apply(ShortExtentMaps);
BENCHMARK_CAPTURE(BM_ClaimImage, in_order, Order::kNext)
    ->Apply(ShortExtentMaps);
BENCHMARK_CAPTURE(BM_ClaimImage, scattered, Order::kScattered)
    ->Apply(ShortExtentMaps);
BENCHMARK(BM_ClaimPastAll)
    ->Apply(ShortExtentMaps)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace pagelift

BENCHMARK_MAIN();
