#include "lib/uffd/requests.h"

#include "lib/uffd/uffd_abi.h"

namespace pagelift {

std::vector<uint32_t> RequestsThatServe() {
  return {UFFDIO_COPY,     UFFDIO_ZEROPAGE,   abi::kIocPoison,
          UFFDIO_REGISTER, UFFDIO_UNREGISTER, UFFDIO_WAKE};
}

}  // namespace pagelift
