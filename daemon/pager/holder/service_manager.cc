#include "daemon/pager/holder/service_manager.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace pagelift {
namespace {

// The socket's address; nullptr if there is none.
const char* Address() {
  const char* const path = getenv("NOTIFY_SOCKET");
  return path == nullptr || (path[0] != '/' && path[0] != '@') ? nullptr : path;
}

}  // namespace

bool HasServiceManager() { return Address() != nullptr; }

bool TellServiceManager(const char* state, int fd) {
  errno = 0;
  const char* const path = Address();
  if (path == nullptr) return false;
  sockaddr_un address = {};
  const size_t length = strlen(path);
  if (sizeof(address.sun_path) <= length) {
    errno = ENAMETOOLONG;
    return false;
  }
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path, length);
  // One that begins with @ is a name and no path.
  if (path[0] == '@') address.sun_path[0] = '\0';

  iovec text = {const_cast<char*>(state), strlen(state)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_name = &address;
  message.msg_namelen =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  message.msg_iov = &text;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof(int));
  }
  // One for each message: there is nothing to keep, and to lose in a crash.
  const int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (sock < 0) return false;
  const timeval patience = {1, 0};
  setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  ssize_t sent;
  do {
    sent = sendmsg(sock, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  const int error = sent < 0 ? errno : 0;
  close(sock);
  errno = error;
  return error == 0;
}

}  // namespace pagelift
