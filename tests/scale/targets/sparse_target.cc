// A program with a very large mapping of which little is populated, and that
// knows what every byte it looks at ought to be.
//
//   sparse_target --state DIR [--gib 100] [--runs 3000] [--threads 4] [--seed
//   1]
//
// Populates so many short runs of pages, scattered over the mapping, answers
// command 0, and then answers each command (see control_file.h) with
// "OK pages=..." or "WRONG page=..." after all threads have read the runs, what
// lies behind each, and places far from any, in random order, changed some, and
// read it all again.

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/e2e/targets/control_file.h"
#include "tests/e2e/targets/page_walk.h"
#include "tests/e2e/targets/pattern.h"
#include "tests/e2e/targets/patterned_region.h"
#include "tests/e2e/targets/walkers.h"

namespace pagelift::e2e {
namespace {

constexpr size_t kGibibytePages = (size_t{1} << 30) / kPageBytes;
constexpr size_t kMostPagesOfRun = 8;
constexpr size_t kEmptyPages = 2;  // Looked at behind a run, and far from any.
constexpr size_t kLeastSlotPages = 4 * (kMostPagesOfRun + kEmptyPages);

struct Options {
  std::string state;
  size_t gib = 100;
  size_t runs = 3000;
  size_t threads = 4;
  uint64_t seed = 1;
};

Options ParseOptions(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const char* value = argv[i + 1];
    if (name == "--state") options.state = value;
    if (name == "--gib") options.gib = std::strtoul(value, nullptr, 10);
    if (name == "--runs") options.runs = std::strtoul(value, nullptr, 10);
    if (name == "--threads") options.threads = std::strtoul(value, nullptr, 10);
    if (name == "--seed") options.seed = std::strtoull(value, nullptr, 10);
  }
  if (options.state.empty() || options.runs == 0 || options.threads == 0 ||
      options.gib * kGibibytePages / options.runs < kLeastSlotPages) {
    std::fprintf(stderr,
                 "usage: %s --state DIR [--gib N] [--runs N] [--threads N] "
                 "[--seed N]\n",
                 argv[0]);
    std::exit(64);
  }
  return options;
}

// One mapping. Each run is in a slot of its own, somewhere in the first half;
// somewhere in the second half are pages that nobody ever wrote to.
class SparseMapping {
 public:
  explicit SparseMapping(const Options& options)
      : slot_pages_(options.gib * kGibibytePages / options.runs),
        base_(Map(slot_pages_ * options.runs)),
        random_(options.seed) {
    for (size_t slot = 0; slot < options.runs; ++slot) {
      AddRun(slot, options.seed);
      AddEmpty(slot, options.seed);
    }
  }

  std::vector<PageRef> ShareOf(size_t walker, size_t walkers) {
    std::vector<PageRef> all;
    for (PatternedRegion& region : regions_) AppendShare(region, 0, 1, all);
    std::vector<PageRef> share;
    for (size_t i = walker; i < all.size(); i += walkers) {
      share.push_back(all[i]);
    }
    return share;
  }

  size_t populated() const { return populated_; }

 private:
  static std::byte* Map(size_t pages) {
    const size_t bytes = pages * kPageBytes;
    void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    // A huge page would populate what is to stay empty.
    if (base == MAP_FAILED || madvise(base, bytes, MADV_NOHUGEPAGE) != 0) {
      std::perror("mmap");
      std::abort();
    }
    return static_cast<std::byte*>(base);
  }

  void AddRun(size_t slot, uint64_t seed) {
    const size_t pages = 1 + random_() % kMostPagesOfRun;
    const size_t room = slot_pages_ / 2 - (kMostPagesOfRun + kEmptyPages);
    regions_.emplace_back("run" + std::to_string(slot),
                          At(slot, random_() % room), pages + kEmptyPages,
                          seed);
    for (size_t i = 0; i < pages; ++i) regions_.back().Rewrite(i);
    populated_ += pages;
  }

  void AddEmpty(size_t slot, uint64_t seed) {
    const size_t half = slot_pages_ / 2;
    regions_.emplace_back("empty" + std::to_string(slot),
                          At(slot, half + random_() % (half - kEmptyPages)),
                          kEmptyPages, seed);
  }

  std::byte* At(size_t slot, size_t page) const {
    return base_ + (slot * slot_pages_ + page) * kPageBytes;
  }

  const size_t slot_pages_;
  std::byte* const base_;
  std::mt19937_64 random_;
  size_t populated_ = 0;
  std::deque<PatternedRegion> regions_;  // References to elements are kept.
};

[[noreturn]] void Run(const Options& options) {
  const ControlFolder control(options.state);
  control.TakeOverStandardStreams();
  SparseMapping mapping(options);
  Walkers walkers(options.threads, "walker", options.seed);
  for (uint64_t command = 0;;) {
    if (command == 0) {
      // Reading what is empty would populate it before the checkpoint.
      control.Answer(0, "OK populated=" + std::to_string(mapping.populated()));
    } else {
      walkers.Start([&](size_t walker, PatternedRegion& own_stack) {
        std::vector<PageRef> pages = mapping.ShareOf(walker, options.threads);
        AppendShare(own_stack, 0, 1, pages);
        return WalkAndRewrite(std::move(pages),
                              options.seed + command * 1000 + walker);
      });
      control.Answer(command, walkers.Wait().ToString());
    }
    command = control.WaitForCommandAfter(command);
  }
}

}  // namespace
}  // namespace pagelift::e2e

int main(int argc, char** argv) {
  pagelift::e2e::Run(pagelift::e2e::ParseOptions(argc, argv));
}
