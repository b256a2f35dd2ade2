#include "daemon/migration/criu/criu_rpc.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "daemon/migration/criu/criu_config.h"
#include "lib/base/log.h"
#include "lib/base/memory_file.h"
#include "lib/base/open_directory.h"
#include "lib/base/poll_until.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"

namespace pagelift {
absl::StatusOr<CriuRpc::Pair> CriuRpc::Make() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return SysError("socketpair");
  }
  return Pair{CriuRpc(UniqueFd(ends[0])), UniqueFd(ends[1])};
}

absl::StatusOr<ChildProgram> CriuRpc::StartCriu(ProgramStart start,
                                                const UniqueFd& for_criu) {
  CHECK(start.argv.size() == 1);
  start.argv.insert(start.argv.end(), {"swrk", absl::StrCat(for_criu.get())});
  start.keep.push_back(for_criu.get());
  return ChildProgram::Start(start);
}

absl::Status CriuRpc::Begin(const CriuWork& work) {
  const bool restores = work.kind == criu::RPC_RESTORE;
  ASSIGN_OR_RETURN(
      std::string config,
      CriuConfig(restores ? CriuCommand::kRestore : CriuCommand::kDump,
                 work.options));
  config += work.config;
  ASSIGN_OR_RETURN(images_, OpenDirectory(work.images));
  ASSIGN_OR_RETURN(work_, OpenDirectory(work.work_dir));
  criu::RpcRequest request;
  request.set_kind(work.kind);
  criu::RpcOptions& options = *request.mutable_options();
  options.set_images_fd(images_.get());
  options.set_work_fd(work_.get());
  options.set_log_level(work.log_level);
  options.set_log_file(work.log_file);
  options.set_notify(true);
  if (!restores) options.set_root(work.root);
  if (work.lazy) options.set_lazy_pages(true);
  if (!config.empty()) {
    ASSIGN_OR_RETURN(config_, MemoryFile("criu-config", config));
    options.set_config_file(
        absl::StrCat("/proc/", getpid(), "/fd/", config_.get()));
  }
  return Send(request);
}

absl::Status CriuRpc::Answer(bool go_on) {
  criu::RpcRequest request;
  request.set_kind(criu::RPC_NOTIFY);
  request.set_go_on(go_on);
  return Send(request);
}

absl::Status CriuRpc::Send(const criu::RpcRequest& request) {
  const std::string packet = request.SerializeAsString();
  if (send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(packet.size())) {
    return SysError("tell criu");
  }
  return absl::OkStatus();
}

absl::StatusOr<criu::RpcResponse> CriuRpc::Next(const PidFd& criu,
                                                absl::Duration deadline,
                                                int cancel) {
  // What it has begun to restore has its end of the socket, too, and waits for
  // ever if it has died: the socket alone would not tell.
  std::array<pollfd, 3> fds = {{{socket_.get(), POLLIN, 0},
                                {criu.fd(), POLLIN, 0},
                                {cancel, POLLIN, 0}}};
  if (!PollUntil(absl::MakeSpan(fds), deadline)) {
    return absl::DeadlineExceededError("criu says nothing");
  }
  if (fds[2].revents != 0) return absl::CancelledError("criu is not needed");
  std::array<char, 1 << 16> packet;
  ssize_t size = -1;
  // Also if only its end was seen: it may have said something before. That it
  // has left something unread is told first, and once.
  for (int tries = 0; tries < 2; ++tries) {
    do {
      size = recv(socket_.get(), packet.data(), packet.size(), MSG_DONTWAIT);
    } while (size < 0 && errno == EINTR);
    if (size >= 0 || errno != ECONNRESET) break;
  }
  if (size < 0 && errno != ECONNRESET && errno != EAGAIN) {
    return SysError("hear of criu");
  }
  if (size <= 0) return absl::UnavailableError("criu has ended");
  criu::RpcResponse response;
  if (!response.ParseFromArray(packet.data(), static_cast<int>(size))) {
    return absl::InternalError("criu says what is not understood");
  }
  return response;
}

}  // namespace pagelift
