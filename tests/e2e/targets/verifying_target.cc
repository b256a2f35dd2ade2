// A multi-threaded program that knows what every byte of its memory ought to
// be.
//
//   verifying_target --state DIR [--mib 64] [--threads 4] [--seed 1]
//                    [--shared-mib 0]
//
// Fills private anonymous memory of several kinds, and --shared-mib of each
// kind of shared memory, answers command 0, and then answers each command (see
// control_file.h) with "OK pages=..." or "WRONG page=..." after all threads
// have read all of it, changed some of it, and read it again.

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/e2e/targets/control_file.h"
#include "tests/e2e/targets/page_walk.h"
#include "tests/e2e/targets/pattern.h"
#include "tests/e2e/targets/patterned_region.h"
#include "tests/e2e/targets/shared_memory.h"
#include "tests/e2e/targets/walkers.h"

namespace pagelift::e2e {
namespace {

constexpr size_t kHeapBlockPages = 15;
constexpr size_t kMebibytePages = (size_t{1} << 20) / kPageBytes;

struct Options {
  std::string state;
  size_t mib = 64;
  size_t threads = 4;
  uint64_t seed = 1;
  size_t shared_mib = 0;
};

Options ParseOptions(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const char* value = argv[i + 1];
    if (name == "--state") options.state = value;
    if (name == "--mib") options.mib = std::strtoul(value, nullptr, 10);
    if (name == "--threads") options.threads = std::strtoul(value, nullptr, 10);
    if (name == "--seed") options.seed = std::strtoull(value, nullptr, 10);
    if (name == "--shared-mib") {
      options.shared_mib = std::strtoul(value, nullptr, 10);
    }
  }
  if (options.state.empty() || options.mib == 0 || options.threads == 0) {
    std::fprintf(stderr,
                 "usage: %s --state DIR [--mib N] [--threads N] [--seed N] "
                 "[--shared-mib N]\n",
                 argv[0]);
    std::exit(64);
  }
  return options;
}

// The target's memory but for the stacks, in equal parts of each kind.
class Memory {
 public:
  explicit Memory(const Options& options) {
    const size_t part = options.mib * kMebibytePages / 5;
    FillHeap(part, options.seed);
    for (const char* name : {"mapping_a", "mapping_b"}) {
      regions_.push_back(PatternedRegion::Map(name, part, options.seed));
      regions_.back().RewriteAll();
    }
    FillSparse(part, options.seed);
    read_only_.push_back(PatternedRegion::Map("read_only", part, options.seed));
    read_only_.back().RewriteAll();
    read_only_.back().MakeReadOnly();
    if (options.shared_mib > 0) {
      shared_.emplace(options.shared_mib * kMebibytePages, options.seed);
    }
  }

  // What walker `walker` of `walkers` has to look at. Pages that may be
  // written to belong to one walker; pages that may not are everybody's, so
  // that several threads fault on one page at once.
  std::vector<PageRef> ShareOf(size_t walker, size_t walkers) {
    std::vector<PageRef> pages;
    for (PatternedRegion& region : regions_) {
      AppendShare(region, walker, walkers, pages);
    }
    for (PatternedRegion& region : read_only_) {
      AppendShare(region, 0, 1, pages);
    }
    if (shared_.has_value()) {
      for (PatternedRegion& region : shared_->regions()) {
        AppendShare(region, walker, walkers, pages);
      }
    }
    return pages;
  }

  bool shared_mappings_agree() const {
    return !shared_.has_value() || shared_->MappingsAgree();
  }

 private:
  // Blocks small enough to come from brk, and not on page borders.
  void FillHeap(size_t pages, uint64_t seed) {
    for (size_t done = 0; done < pages; done += kHeapBlockPages) {
      blocks_.push_back(
          std::make_unique<std::byte[]>(kHeapBlockPages * kPageBytes));
      regions_.emplace_back("heap" + std::to_string(done), blocks_.back().get(),
                            kHeapBlockPages, seed);
      regions_.back().RewriteAll();
    }
  }

  // Runs of untouched pages, of pages written with zeros, and of pattern.
  void FillSparse(size_t pages, uint64_t seed) {
    regions_.push_back(PatternedRegion::Map("sparse", pages, seed));
    PatternedRegion& sparse = regions_.back();
    for (size_t index = 0; index < pages; ++index) {
      switch (Scramble(index / 3) % 4) {
        case 0:
          sparse.WriteZeros(index);
          break;
        case 1:
        case 2:
          sparse.Rewrite(index);
          break;
        default:
          break;  // Never touched.
      }
    }
  }

  std::vector<std::unique_ptr<std::byte[]>> blocks_;
  std::deque<PatternedRegion> regions_;  // References to elements are kept.
  std::deque<PatternedRegion> read_only_;
  std::optional<SharedMemory> shared_;
};

[[noreturn]] void Run(const Options& options) {
  const ControlFolder control(options.state);
  control.TakeOverStandardStreams();
  Memory memory(options);
  Walkers walkers(options.threads, "walker", options.seed);
  for (uint64_t command = 0;;) {
    walkers.Start([&](size_t walker, PatternedRegion& own_stack) {
      std::vector<PageRef> pages = memory.ShareOf(walker, options.threads);
      AppendShare(own_stack, 0, 1, pages);
      return WalkAndRewrite(std::move(pages),
                            options.seed + command * 1000 + walker);
    });
    const std::string walked = walkers.Wait().ToString();
    control.Answer(command, memory.shared_mappings_agree()
                                ? walked
                                : "WRONG two mappings of a memfd differ");
    command = control.WaitForCommandAfter(command);
  }
}

}  // namespace
}  // namespace pagelift::e2e

int main(int argc, char** argv) {
  pagelift::e2e::Run(pagelift::e2e::ParseOptions(argc, argv));
}
