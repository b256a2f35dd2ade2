#ifndef PAGELIFT_DAEMON_PAGER_HOLDER_OPEN_DESCRIPTORS_H_
#define PAGELIFT_DAEMON_PAGER_HOLDER_OPEN_DESCRIPTORS_H_

#include <vector>

namespace pagelift {

// The numbers of all descriptors that this thread's table has open. Empty, with
// errno, if they cannot be listed.
std::vector<int> OpenDescriptors();

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_HOLDER_OPEN_DESCRIPTORS_H_
