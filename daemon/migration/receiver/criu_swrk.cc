#include "daemon/migration/receiver/criu_swrk.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "daemon/migration/receiver/criu_config.h"
#include "lib/base/memory_file.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"

namespace pagelift {
namespace {

constexpr char kLazy[] = "lazy";
constexpr char kEager[] = "eager";

absl::StatusOr<UniqueFd> OpenDirectory(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return SysError("open ", path);
  return fd;
}

}  // namespace

std::vector<std::string> ToWords(const CriuRestore& restore) {
  std::vector<std::string> words = {restore.images, restore.work_dir,
                                    restore.log_file,
                                    restore.lazy ? kLazy : kEager};
  words.insert(words.end(), restore.options.begin(), restore.options.end());
  return words;
}

absl::StatusOr<CriuRestore> FromWords(const std::vector<std::string>& words) {
  if (words.size() < 4 || (words[3] != kLazy && words[3] != kEager)) {
    return absl::InvalidArgumentError("that is not what is to be restored");
  }
  CriuRestore restore;
  restore.images = words[0];
  restore.work_dir = words[1];
  restore.log_file = words[2];
  restore.lazy = words[3] == kLazy;
  restore.options.assign(words.begin() + 4, words.end());
  return restore;
}

absl::StatusOr<CriuSwrk> CriuSwrk::Start(const std::string& criu) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return SysError("socketpair");
  }
  UniqueFd ours(ends[0]);
  const UniqueFd its(ends[1]);
  ProgramStart start;
  start.argv = {criu, "swrk", absl::StrCat(its.get())};
  start.keep = {its.get()};
  ASSIGN_OR_RETURN(ChildProgram program, ChildProgram::Start(start));
  return CriuSwrk(std::move(program), std::move(ours));
}

absl::Status CriuSwrk::Begin(const CriuRestore& restore) {
  ASSIGN_OR_RETURN(const std::string config, CriuConfig(restore.options));
  ASSIGN_OR_RETURN(images_, OpenDirectory(restore.images));
  ASSIGN_OR_RETURN(work_, OpenDirectory(restore.work_dir));
  criu::RpcRequest request;
  request.set_kind(criu::RPC_RESTORE);
  criu::RestoreOptions& options = *request.mutable_restore();
  options.set_images_fd(images_.get());
  options.set_work_fd(work_.get());
  options.set_log_level(2);
  options.set_log_file(restore.log_file);
  options.set_notify(true);
  if (restore.lazy) options.set_lazy_pages(true);
  if (!config.empty()) {
    ASSIGN_OR_RETURN(config_, MemoryFile("criu-config", config));
    options.set_config_file(
        absl::StrCat("/proc/", getpid(), "/fd/", config_.get()));
  }
  return Send(request);
}

absl::Status CriuSwrk::Answer(bool go_on) {
  criu::RpcRequest request;
  request.set_kind(criu::RPC_NOTIFY);
  request.set_go_on(go_on);
  return Send(request);
}

absl::Status CriuSwrk::Send(const criu::RpcRequest& request) {
  const std::string packet = request.SerializeAsString();
  if (send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(packet.size())) {
    return SysError("tell criu");
  }
  return absl::OkStatus();
}

absl::StatusOr<criu::RpcResponse> CriuSwrk::Next() {
  // What it has begun to restore has its end of the socket, too, and waits for
  // ever if it has died: the socket alone would not tell.
  pollfd changed[] = {{socket_.get(), POLLIN, 0},
                      {program_.process().fd(), POLLIN, 0}};
  while (poll(changed, 2, -1) < 0) {
    if (errno != EINTR) return SysError("poll");
  }
  if (changed[0].revents == 0) return absl::UnavailableError("criu has ended");
  std::array<char, 1 << 16> packet;
  ssize_t size;
  do {
    size = recv(socket_.get(), packet.data(), packet.size(), 0);
  } while (size < 0 && errno == EINTR);
  if (size < 0 && errno != ECONNRESET) return SysError("hear of criu");
  if (size <= 0) return absl::UnavailableError("criu has ended");
  criu::RpcResponse response;
  if (!response.ParseFromArray(packet.data(), static_cast<int>(size))) {
    return absl::InternalError("criu says what is not understood");
  }
  return response;
}

}  // namespace pagelift
