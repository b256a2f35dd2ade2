#ifndef PAGELIFT_DAEMON_PAGER_HOLDER_OPEN_DESCRIPTORS_H_
#define PAGELIFT_DAEMON_PAGER_HOLDER_OPEN_DESCRIPTORS_H_

#include <vector>

namespace pagelift {

// Calls `visit` with the number of each descriptor that this thread's table has
// open. Allocates nothing: may be used in a process that was made from one with
// threads. False, with errno, if they cannot be listed.
bool ForEachOpenDescriptor(void (*visit)(int fd, void* with), void* with);

// The same as a list. Empty, with errno, if they cannot be listed.
std::vector<int> OpenDescriptors();

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_HOLDER_OPEN_DESCRIPTORS_H_
