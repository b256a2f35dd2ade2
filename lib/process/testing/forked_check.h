#ifndef PAGELIFT_LIB_PROCESS_TESTING_FORKED_CHECK_H_
#define PAGELIFT_LIB_PROCESS_TESTING_FORKED_CHECK_H_

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

#include "absl/functional/function_ref.h"
#include "gtest/gtest.h"

namespace pagelift {

// Runs `check` in a forked child, for what cannot be undone, and returns how
// that has ended, as waitpid(2) tells it: 0 if no expectation has failed in it.
inline int ForkedCheck(absl::FunctionRef<void()> check) {
  fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    check();
    fflush(nullptr);
    _exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return status;
}

// Whether such a child was ended by `signal`.
inline bool WasEndedBy(int signal, int status) {
  return WIFSIGNALED(status) && WTERMSIG(status) == signal;
}

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_TESTING_FORKED_CHECK_H_
