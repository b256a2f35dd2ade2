#ifndef PAGELIFT_LIB_PROCESS_ATTACHED_FD_H_
#define PAGELIFT_LIB_PROCESS_ATTACHED_FD_H_

#include <sys/socket.h>

#include <cstring>

namespace pagelift {

// Attaches a duplicate of `fd` to a message over a Unix socket (unix(7),
// SCM_RIGHTS). To be kept until the message is sent. Calls nothing: the child
// of a fork may use it.
class AttachedFd {
 public:
  AttachedFd(int fd, msghdr& message) {
    message.msg_control = control_;
    message.msg_controllen = sizeof(control_);
    cmsghdr* const rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(fd));
    std::memcpy(CMSG_DATA(rights), &fd, sizeof(fd));
  }
  AttachedFd(const AttachedFd&) = delete;
  AttachedFd& operator=(const AttachedFd&) = delete;

 private:
  alignas(cmsghdr) char control_[CMSG_SPACE(sizeof(int))] = {};
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_ATTACHED_FD_H_
