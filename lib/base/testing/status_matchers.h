#ifndef PAGELIFT_LIB_BASE_TESTING_STATUS_MATCHERS_H_
#define PAGELIFT_LIB_BASE_TESTING_STATUS_MATCHERS_H_

#include <ostream>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

// GoogleTest matchers for Status and StatusOr, spelled as upstream spells them.
namespace pagelift {
namespace status_internal {

inline const absl::Status& StatusOf(const absl::Status& s) { return s; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& s) {
  return s.status();
}

}  // namespace status_internal

MATCHER(IsOk, "is OK") {
  const absl::Status& status = status_internal::StatusOf(arg);
  *result_listener << status.ToString();
  return status.ok();
}

MATCHER_P(IsOkAndHolds, value, "is OK and holds the value") {
  if (!arg.ok()) {
    *result_listener << arg.status().ToString();
    return false;
  }
  return ::testing::ExplainMatchResult(value, *arg, result_listener);
}

MATCHER_P2(StatusIs, code, message, "has the code and a matching message") {
  const absl::Status& status = status_internal::StatusOf(arg);
  *result_listener << status.ToString();
  return status.code() == code &&
         ::testing::ExplainMatchResult(message, std::string(status.message()),
                                       result_listener);
}

MATCHER_P(StatusIs, code, "has the code") {
  const absl::Status& status = status_internal::StatusOf(arg);
  *result_listener << status.ToString();
  return status.code() == code;
}

}  // namespace pagelift

#define ASSERT_OK(expr) ASSERT_THAT(expr, ::pagelift::IsOk())
#define EXPECT_OK(expr) EXPECT_THAT(expr, ::pagelift::IsOk())

#define ASSERT_OK_AND_ASSIGN(lhs, expr) \
  PAGELIFT_ASSERT_OK_AND_ASSIGN_(       \
      PAGELIFT_TEST_CONCAT_(pagelift_or_, __LINE__), lhs, expr)
#define PAGELIFT_ASSERT_OK_AND_ASSIGN_(tmp, lhs, expr) \
  auto tmp = (expr);                                   \
  ASSERT_TRUE(tmp.ok()) << tmp.status();               \
  lhs = std::move(tmp).value()
#define PAGELIFT_TEST_CONCAT_(a, b) PAGELIFT_TEST_CONCAT_INNER_(a, b)
#define PAGELIFT_TEST_CONCAT_INNER_(a, b) a##b

#endif  // PAGELIFT_LIB_BASE_TESTING_STATUS_MATCHERS_H_
