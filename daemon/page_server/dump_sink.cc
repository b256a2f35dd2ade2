#include "daemon/page_server/dump_sink.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/log.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"
#include "lib/base/thread_name.h"
#include "lib/image/staged_directory.h"

namespace pagelift {
namespace {

// Out of descriptors: wait for some to be closed.
constexpr int kAcceptPauseMs = 100;
constexpr absl::Duration kOverInterval = absl::Milliseconds(5);

void Signal(const UniqueFd& event) {
  const uint64_t one = 1;
  CHECK(write(event.get(), &one, sizeof(one)) == sizeof(one));
}

// Held as long as the descriptor is open.
absl::StatusOr<UniqueFd> Lock(const std::string& directory) {
  UniqueFd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return SysError("open the sink's directory ", directory);
  if (flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno != EWOULDBLOCK) return SysError("lock ", directory);
  return absl::UnavailableError(
      absl::StrCat("another sink receives into ", directory));
}

}  // namespace

absl::StatusOr<std::unique_ptr<DumpSink>> DumpSink::Start(Options options) {
  ASSIGN_OR_RETURN(UniqueFd lock, Lock(options.directory));
  ASSIGN_OR_RETURN(const int left,
                   RemoveStaged(options.directory, DumpNames::kPrefix));
  if (left > 0) {
    LOG(Warning) << "removed " << left << " dumps from " << options.directory
                 << " that had not come to their end";
  }
  ASSIGN_OR_RETURN(Listener listener, Listener::ListenOn(options.listen));
  return std::unique_ptr<DumpSink>(
      new DumpSink(std::move(options), std::move(lock), std::move(listener)));
}

DumpSink::DumpSink(Options options, UniqueFd lock, Listener listener)
    : options_(std::move(options)),
      lock_(std::move(lock)),
      address_(listener.address()),
      names_(options_.directory),
      quota_(kMostOfAHost, "dumps"),
      stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      break_off_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      listener_(std::move(listener)),
      thread_([this] { Run(); }) {
  CHECK(stop_.valid() && break_off_.valid()) << "no descriptor left";
}

DumpSink::~DumpSink() { Stop(absl::ZeroDuration()); }

void DumpSink::Stop(absl::Duration deadline) {
  Signal(stop_);
  if (thread_.joinable()) thread_.join();
  const absl::Duration until = MonotonicNow() + deadline;
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      ForgetThoseThatAreOver();
      if (dumps_.empty()) return;
    }
    if (MonotonicNow() >= until) break;
    absl::SleepFor(kOverInterval);
  }
  Signal(break_off_);
  absl::MutexLock lock(&mu_);
  dumps_.clear();
}

void DumpSink::Run() {
  NameThisThread("pl-sink");
  std::vector<pollfd> polled = {{stop_.get(), POLLIN, 0}};
  for (const UniqueFd& socket : listener_->sockets()) {
    polled.push_back({socket.get(), POLLIN, 0});
  }
  while (true) {
    if (poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) {
      LOG(Error) << "poll: " << strerror(errno) << ": no more dumps";
      break;
    }
    if (polled[0].revents != 0) break;
    for (size_t i = 1; i < polled.size(); ++i) {
      if (polled[i].revents != 0) Accept(polled[i].fd);
    }
  }
  listener_.reset();
}

void DumpSink::Accept(int listener) {
  UniqueFd socket(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  if (!socket.valid()) {
    if (errno == EINTR || errno == ECONNABORTED || errno == EAGAIN) return;
    LOG(Warning) << "cannot accept a dump: " << strerror(errno);
    pollfd stop = {stop_.get(), POLLIN, 0};
    poll(&stop, 1, kAcceptPauseMs);
    return;
  }
  absl::MutexLock lock(&mu_);
  ForgetThoseThatAreOver();
  if (dumps_.size() >= kMostDumps) {
    LOG(Warning) << "too many dumps at a time: that of " << PeerOf(socket.get())
                 << " is refused";
    return;
  }
  std::optional<ClientQuota::Place> place =
      quota_.Enter(ClientOf(socket.get()));
  if (!place.has_value()) return;
  TunePageSocket(socket.get());
  dumps_.push_back(
      {*std::move(place), std::make_unique<DumpConnection>(
                              std::move(socket), options_.tls,
                              options_.patience, names_, break_off_.get())});
}

void DumpSink::ForgetThoseThatAreOver() {
  dumps_.remove_if([](const Dump& dump) { return dump.connection->is_over(); });
}

}  // namespace pagelift
