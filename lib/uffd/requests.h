#ifndef PAGELIFT_LIB_UFFD_REQUESTS_H_
#define PAGELIFT_LIB_UFFD_REQUESTS_H_

#include <cstdint>
#include <vector>

namespace pagelift {

// The requests of ioctl(2) that are made of a target's userfaultfd to serve its
// faults, for whoever allows no others.
std::vector<uint32_t> RequestsThatServe();

}  // namespace pagelift

#endif  // PAGELIFT_LIB_UFFD_REQUESTS_H_
