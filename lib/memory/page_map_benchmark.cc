// Run with: bazel run --config=opt //lib/memory:page_map_benchmark
//
// The argument is the number of extents. Maps are sparse and cover 1 TiB at a
// million extents: 256 pages each, with gaps between them.

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

PageId FirstOf(uint64_t extent) { return PageId(extent * kStride); }

PageMap MakeMap(uint64_t extents) {
  PageMap map;
  for (uint64_t i = 0; i < extents; ++i) {
    CHECK(map.Add({FirstOf(i), kPagesEach}, ImagePage(i * kPagesEach.raw()))
              .ok());
  }
  return map;
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
    CHECK(map.ClaimMissing(PagesFrom(PageId(0)), PageCount(16)).has_value());
    map.Transition(page, PageState::kRequested, PageState::kMissing);
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

}  // namespace
}  // namespace pagelift

BENCHMARK_MAIN();
