#ifndef TESTS_STRESS_TORTURE_RANDOM_H_
#define TESTS_STRESS_TORTURE_RANDOM_H_

#include <cstddef>
#include <cstdint>

#include "tests/e2e/targets/pattern.h"

namespace pagelift::stress {

// Random numbers that a seed repeats. A plain value: a forked child goes on
// with its own copy.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() { return e2e::Scramble(state_++); }
  // In [0, limit). REQUIRES: limit > 0.
  size_t Below(size_t limit) { return Next() % limit; }
  bool OneIn(size_t n) { return Below(n) == 0; }
  // In [1, most].
  size_t UpTo(size_t most) { return 1 + Below(most); }

 private:
  uint64_t state_;
};

}  // namespace pagelift::stress

#endif  // TESTS_STRESS_TORTURE_RANDOM_H_
