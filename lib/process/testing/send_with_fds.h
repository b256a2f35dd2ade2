#ifndef PAGELIFT_LIB_PROCESS_TESTING_SEND_WITH_FDS_H_
#define PAGELIFT_LIB_PROCESS_TESTING_SEND_WITH_FDS_H_

#include <sys/socket.h>

#include <cstddef>
#include <cstring>
#include <vector>

#include "absl/types/span.h"

namespace pagelift {

// One sendmsg(2) of `bytes` with any number of descriptors, which no sender
// that means well has more than one of. Returns what sendmsg does.
inline ssize_t SendWithFds(int socket, absl::Span<const std::byte> bytes,
                           const std::vector<int>& fds, int flags) {
  iovec data = {const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  const size_t size = fds.size() * sizeof(int);
  // As large as it must be, and aligned as a cmsghdr.
  std::vector<cmsghdr> control(CMSG_SPACE(size) / sizeof(cmsghdr) + 1);
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(size);
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(rights), fds.data(), size);
  }
  return sendmsg(socket, &message, flags);
}

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_TESTING_SEND_WITH_FDS_H_
