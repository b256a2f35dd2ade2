// A program of many threads that touch memory at the same moment, and know what
// every byte of it ought to be.
//
//   crowd_target --state DIR [--threads 64] [--seed 1]
//
// Fills its memory, answers command 0, and then answers each command (see
// control_file.h) with "OK pages=..." or "WRONG page=...". Commands take turns:
//
//   1, 5, ...  all threads read a page, the same one or each its own, at once;
//              then the next, until they have read all of an odd number
//   2, 6, ...  the same one, of those of an even number
//   3, 7, ...  each its own, of those of an even number
//   4, 8, ...  each thread reads all that it may, changes some of what is its
//              own, and reads it again, at its own pace
//
// After the first, whatever a thread needs to look at the other pages has been
// touched, so that in the second and the third all wait for these alone.

#include <pthread.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
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

constexpr size_t kCommonPages = 512;
constexpr size_t kOwnPages = 64;  // Of each thread.
constexpr size_t kStride = 37;    // Odd: visits all, not in order of addresses.

struct Options {
  std::string state;
  size_t threads = 64;
  uint64_t seed = 1;
};

Options ParseOptions(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const char* value = argv[i + 1];
    if (name == "--state") options.state = value;
    if (name == "--threads") options.threads = std::strtoul(value, nullptr, 10);
    if (name == "--seed") options.seed = std::strtoull(value, nullptr, 10);
  }
  if (options.state.empty() || options.threads == 0) {
    std::fprintf(stderr, "usage: %s --state DIR [--threads N] [--seed N]\n",
                 argv[0]);
    std::exit(64);
  }
  return options;
}

// Where all threads meet before each goes on.
class Barrier {
 public:
  explicit Barrier(size_t threads) {
    pthread_barrier_init(&barrier_, nullptr, static_cast<unsigned>(threads));
  }
  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;

  void Meet() { pthread_barrier_wait(&barrier_); }

 private:
  pthread_barrier_t barrier_;
};

class Crowd {
 public:
  explicit Crowd(const Options& options)
      : options_(options),
        barrier_(options.threads),
        common_(PatternedRegion::Map("common", kCommonPages, options.seed)),
        own_(PatternedRegion::Map("own", kOwnPages * options.threads,
                                  options.seed)) {
    common_.RewriteAll();
    common_.MakeReadOnly();
    own_.RewriteAll();
  }

  // What one of the threads does. The first three allocate nothing: a thread
  // that waits for a page of the heap may keep the others from theirs.
  WalkResult Work(uint64_t command, size_t walker, PatternedRegion& own_stack) {
    switch (command % 4) {
      case 1: {
        WalkResult result = InStepOwn(walker, 1);
        result.Add(InStepCommon(1));
        return result;
      }
      case 2:
        return InStepCommon(0);
      case 3:
        return InStepOwn(walker, 0);
      default:
        std::vector<PageRef> pages;
        for (size_t index = 0; index < kOwnPages; ++index) {
          pages.push_back({&own_, walker * kOwnPages + index});
        }
        AppendShare(common_, 0, 1, pages);
        AppendShare(own_stack, 0, 1, pages);
        return WalkAndRewrite(std::move(pages),
                              options_.seed + command * 1000 + walker);
    }
  }

 private:
  // Every other page, those that are even or those that are odd.
  WalkResult InStepCommon(size_t parity) {
    return InStep(kCommonPages / 2, [&](size_t step) {
      return PageRef{&common_, Scattered(step, kCommonPages / 2) * 2 + parity};
    });
  }

  WalkResult InStepOwn(size_t walker, size_t parity) {
    return InStep(kOwnPages / 2, [&](size_t step) {
      return PageRef{&own_, walker * kOwnPages +
                                Scattered(step, kOwnPages / 2) * 2 + parity};
    });
  }

  static size_t Scattered(size_t step, size_t pages) {
    return step * kStride % pages;
  }

  // All threads look at as many pages, even if one was wrong: the others would
  // wait at the barrier.
  template <typename PageOfStep>
  WalkResult InStep(size_t steps, PageOfStep page_of_step) {
    WalkResult result;
    barrier_.Meet();
    for (size_t step = 0; step < steps; ++step) {
      const PageRef page = page_of_step(step);
      const std::optional<std::string> wrong = page.region->Check(page.index);
      if (!result.first_wrong.has_value()) result.first_wrong = wrong;
      ++result.checked;
      barrier_.Meet();
    }
    return result;
  }

  const Options options_;
  Barrier barrier_;
  PatternedRegion common_;
  PatternedRegion own_;  // Of one thread after the other.
};

[[noreturn]] void Run(const Options& options) {
  const ControlFolder control(options.state);
  control.TakeOverStandardStreams();
  Crowd crowd(options);
  Walkers walkers(options.threads, "walker", options.seed);
  for (uint64_t command = 0;;) {
    walkers.Start([&](size_t walker, PatternedRegion& own_stack) {
      return crowd.Work(command, walker, own_stack);
    });
    control.Answer(command, walkers.Wait().ToString());
    command = control.WaitForCommandAfter(command);
  }
}

}  // namespace
}  // namespace pagelift::e2e

int main(int argc, char** argv) {
  pagelift::e2e::Run(pagelift::e2e::ParseOptions(argc, argv));
}
