#ifndef PAGELIFT_LIB_BASE_THREAD_NAME_H_
#define PAGELIFT_LIB_BASE_THREAD_NAME_H_

#include <sys/prctl.h>

namespace pagelift {

// Names the calling thread, for `top -H`, perf and debuggers, by the first 15
// bytes of `name`. Without it a thread has its creator's name, mostly that of a
// thread of gRPC's.
inline void NameThisThread(const char* name) { prctl(PR_SET_NAME, name); }

}  // namespace pagelift

#endif  // PAGELIFT_LIB_BASE_THREAD_NAME_H_
