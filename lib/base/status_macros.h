#ifndef PAGELIFT_LIB_BASE_STATUS_MACROS_H_
#define PAGELIFT_LIB_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Spelled as upstream Abseil spells them, to be swapped for its own when the
// distribution's Abseil has them.

// Returns from the enclosing function if `expr` is an error.
#define RETURN_IF_ERROR(expr)                          \
  do {                                                 \
    ::absl::Status pagelift_status = (expr);           \
    if (!pagelift_status.ok()) return pagelift_status; \
  } while (false)

// ASSIGN_OR_RETURN(auto x, MakeX()): returns the error, or declares/assigns x.
#define ASSIGN_OR_RETURN(lhs, expr)                                         \
  PAGELIFT_ASSIGN_OR_RETURN_(PAGELIFT_CONCAT_(pagelift_or_, __LINE__), lhs, \
                             expr)

#define PAGELIFT_ASSIGN_OR_RETURN_(tmp, lhs, expr) \
  auto tmp = (expr);                               \
  if (!tmp.ok()) return std::move(tmp).status();   \
  lhs = std::move(tmp).value()

#define PAGELIFT_CONCAT_(a, b) PAGELIFT_CONCAT_INNER_(a, b)
#define PAGELIFT_CONCAT_INNER_(a, b) a##b

#endif  // PAGELIFT_LIB_BASE_STATUS_MACROS_H_
