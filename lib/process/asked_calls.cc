#include "lib/process/asked_calls.h"

#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/sys_error.h"

namespace pagelift {
namespace {

// Newer than the headers that we build with (Linux 6.6).
constexpr unsigned long kSetFlags = _IOW('!', 4, uint64_t);
constexpr uint64_t kSyncWakeUp = 1;

absl::Status CheckWhole(ssize_t done, size_t size, pid_t tid) {
  if (done == static_cast<ssize_t>(size)) return absl::OkStatus();
  if (done < 0) return SysError("memory of thread ", tid);
  return absl::DataLossError(
      absl::StrCat("memory of thread ", tid, " ends where it should not"));
}

}  // namespace

AskedCalls::AskedCalls(UniqueFd listener) : listener_(std::move(listener)) {
  // Who asks and who answers take turns: on one processor that is several times
  // as fast. Without it, all works.
  (void)ioctl(listener_.get(), kSetFlags, kSyncWakeUp);
}

absl::StatusOr<AskedCall> AskedCalls::Next(int stop) const {
  while (true) {
    pollfd fds[] = {{listener_.get(), POLLIN, 0}, {stop, POLLIN, 0}};
    if (poll(fds, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return SysError("poll");
    }
    if (fds[1].revents != 0) return absl::CancelledError("told to stop");
    if ((fds[0].revents & POLLIN) == 0) {
      return absl::NotFoundError("nobody is left who asks");
    }
    seccomp_notif asked = {};
    if (ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0) {
      // Who has asked was killed meanwhile, or interrupted.
      if (errno == EINTR || errno == ENOENT) continue;
      return SysError("SECCOMP_IOCTL_NOTIF_RECV");
    }
    AskedCall call;
    call.id = asked.id;
    call.tid = static_cast<pid_t>(asked.pid);
    call.number = asked.data.nr;
    std::copy(std::begin(asked.data.args), std::end(asked.data.args),
              call.arguments.begin());
    return call;
  }
}

void AskedCalls::Continue(const AskedCall& call) const {
  seccomp_notif_resp answer = {};
  answer.id = call.id;
  answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  (void)ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

void AskedCalls::Return(const AskedCall& call, int64_t value) const {
  seccomp_notif_resp answer = {};
  answer.id = call.id;
  answer.val = value;
  (void)ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

void AskedCalls::Fail(const AskedCall& call, int error) const {
  seccomp_notif_resp answer = {};
  answer.id = call.id;
  answer.error = -error;
  (void)ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

absl::Status AskedCalls::ReturnDescriptor(const AskedCall& call, int fd) const {
  seccomp_notif_addfd add = {};
  add.id = call.id;
  add.flags = SECCOMP_ADDFD_FLAG_SEND;
  add.srcfd = static_cast<uint32_t>(fd);
  if (ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0 &&
      errno != ENOENT) {
    return SysError("SECCOMP_IOCTL_NOTIF_ADDFD");
  }
  return absl::OkStatus();
}

bool AskedCalls::StillWaits(const AskedCall& call) const {
  uint64_t id = call.id;
  return ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

absl::Status ReadMemoryOf(pid_t tid, uint64_t address, void* data,
                          size_t size) {
  const iovec here = {data, size};
  const iovec there = {reinterpret_cast<void*>(address), size};
  return CheckWhole(process_vm_readv(tid, &here, 1, &there, 1, 0), size, tid);
}

absl::Status WriteMemoryOf(pid_t tid, uint64_t address, const void* data,
                           size_t size) {
  const iovec here = {const_cast<void*>(data), size};
  const iovec there = {reinterpret_cast<void*>(address), size};
  return CheckWhole(process_vm_writev(tid, &here, 1, &there, 1, 0), size, tid);
}

}  // namespace pagelift
