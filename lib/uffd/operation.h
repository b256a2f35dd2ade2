#ifndef PAGELIFT_LIB_UFFD_OPERATION_H_
#define PAGELIFT_LIB_UFFD_OPERATION_H_

#include "lib/uffd/enum_set.h"

namespace pagelift {

// What may be done to a registered range; depends on the kind of memory (huge
// pages cannot be zeroed, private memory cannot be continued). The values are
// the kernel's bit numbers.
enum class Operation : unsigned {
  kWake = 2,
  kCopy = 3,
  kZero = 4,
  kMove = 5,
  kWriteProtect = 6,
  kContinue = 7,
  kPoison = 8,
};

using OperationSet = EnumSet<Operation>;

}  // namespace pagelift

#endif  // PAGELIFT_LIB_UFFD_OPERATION_H_
