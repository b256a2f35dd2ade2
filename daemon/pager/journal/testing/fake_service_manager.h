#ifndef PAGELIFT_DAEMON_PAGER_JOURNAL_TESTING_FAKE_SERVICE_MANAGER_H_
#define PAGELIFT_DAEMON_PAGER_JOURNAL_TESTING_FAKE_SERVICE_MANAGER_H_

#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "lib/base/log.h"
#include "lib/base/unique_fd.h"

namespace pagelift {

// A service manager that only listens: what this process tells it waits in its
// socket. One at a time.
//
// Thread-compatible.
class FakeServiceManager {
 public:
  explicit FakeServiceManager(const std::string& path)
      : socket_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    CHECK(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address),
               sizeof(address)) == 0);
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~FakeServiceManager() { unsetenv("NOTIFY_SOCKET"); }

  // Nobody can tell it anything any more.
  void Close() { socket_.reset(); }

  // What it was told next; empty if nothing.
  std::string NextMessage() {
    char text[256];
    iovec place = {text, sizeof(text)};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message = {};
    message.msg_iov = &place;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    received_.reset();
    const ssize_t length = recvmsg(socket_.get(), &message, MSG_DONTWAIT);
    if (length < 0) return "";
    if (const cmsghdr* header = CMSG_FIRSTHDR(&message)) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(header), sizeof(fd));
      received_ = UniqueFd(fd);
    }
    return std::string(text, static_cast<size_t>(length));
  }
  // What came with it; -1: nothing. Ours.
  int received() const { return received_.get(); }

 private:
  UniqueFd socket_;
  UniqueFd received_;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_JOURNAL_TESTING_FAKE_SERVICE_MANAGER_H_
