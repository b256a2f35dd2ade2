#ifndef TESTS_STRESS_TORTURE_CHECK_ARGUMENT_H_
#define TESTS_STRESS_TORTURE_CHECK_ARGUMENT_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/e2e/targets/pattern.h"

namespace pagelift::stress {

// A program started under this name only tells, by its exit code, whether its
// first argument has the sum that its second says.
inline constexpr char kCheckArgument[] = "check-argument";

inline uint64_t ArgumentSum(const char* text) {
  uint64_t sum = 0;
  for (; *text != '\0'; ++text) {
    sum = e2e::Scramble(sum ^ static_cast<unsigned char>(*text));
  }
  return sum;
}

inline int CheckArgument(const char* argument, const char* sum) {
  return ArgumentSum(argument) == std::strtoull(sum, nullptr, 16) ? 0 : 1;
}

}  // namespace pagelift::stress

#endif  // TESTS_STRESS_TORTURE_CHECK_ARGUMENT_H_
