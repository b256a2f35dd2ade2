#ifndef TESTS_E2E_TARGETS_WALKERS_H_
#define TESTS_E2E_TARGETS_WALKERS_H_

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/targets/page_walk.h"
#include "tests/e2e/targets/patterned_region.h"

namespace pagelift::e2e {

// Threads that do the same work at the same time, each on its share of pages.
// The stack of each is patterned too, and is handed to the work.
//
// Lives on one thread, and as long as the process.
class Walkers {
 public:
  using Work =
      std::function<WalkResult(size_t walker, PatternedRegion& own_stack)>;

  Walkers(size_t threads, std::string name, uint64_t seed);
  Walkers(const Walkers&) = delete;
  Walkers& operator=(const Walkers&) = delete;

  // Has every thread do `work` once. REQUIRES: none is at work.
  void Start(Work work);

  // Blocks until all threads are through, and adds up what they found.
  WalkResult Wait();

  size_t size() const { return threads_.size(); }

 private:
  [[noreturn]] void Live(size_t walker);

  const std::string name_;
  const uint64_t seed_;
  std::mutex mu_;
  std::condition_variable changed_;
  uint64_t round_ = 0;
  size_t working_ = 0;
  Work work_;
  WalkResult result_;
  std::vector<std::thread> threads_;  // Never joined: the process just ends.
};

}  // namespace pagelift::e2e

#endif  // TESTS_E2E_TARGETS_WALKERS_H_
