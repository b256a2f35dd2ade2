#include "lib/transport/page_door.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "lib/base/log.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/thread_name.h"
#include "lib/http2/first_bytes.h"
#include "lib/tls/client_hello.h"

namespace pagelift {
namespace {

// How long a connection may keep us waiting for its first bytes.
constexpr absl::Duration kFirstBytesDeadline = absl::Seconds(20);
constexpr size_t kMostNewcomers = 4096;
constexpr size_t kMostConnections = 4096;
// Out of descriptors: wait for some to be closed.
constexpr int kAcceptPauseMs = 100;
constexpr absl::Duration kOverInterval = absl::Milliseconds(5);

}  // namespace

PageDoor::PageDoor(Listener listener, StreamAdmission& streams, Others others,
                   std::shared_ptr<TlsCredentials> tls, size_t most)
    : address_(listener.address()),
      streams_(streams),
      others_(std::move(others)),
      tls_(std::move(tls)),
      quota_(most, "connections"),
      stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      listener_(std::move(listener)),
      thread_([this] { Run(); }) {
  CHECK(stop_.valid()) << "no descriptor left";
}

PageDoor::~PageDoor() { Stop(absl::ZeroDuration()); }

void PageDoor::Stop(absl::Duration deadline) {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    for (const Served& served : connections_) served.connection->Drain();
  }
  const uint64_t one = 1;
  CHECK(write(stop_.get(), &one, sizeof(one)) == sizeof(one));
  {
    absl::MutexLock lock(&join_mu_);
    if (thread_.joinable()) thread_.join();
  }
  const absl::Duration until = MonotonicNow() + deadline;
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      ForgetThoseThatAreOver();
      if (connections_.empty()) return;
      if (MonotonicNow() >= until) break;
    }
    absl::SleepFor(kOverInterval);
  }
  absl::MutexLock lock(&mu_);
  for (const Served& served : connections_) served.connection->Break();
  connections_.clear();
}

void PageDoor::Run() {
  NameThisThread("pl-door");
  bool accepting = true;
  while (true) {
    std::vector<pollfd> polled = {{stop_.get(), POLLIN, 0}};
    for (const UniqueFd& socket : listener_->sockets()) {
      polled.push_back(
          {socket.get(), static_cast<short>(accepting ? POLLIN : 0), 0});
    }
    for (const Newcomer& newcomer : newcomers_) {
      polled.push_back({newcomer.socket.get(), POLLIN, 0});
    }
    for (const Guest& guest : guests_) {
      polled.push_back({guest.socket.get(), POLLRDHUP, 0});
    }
    int timeout = accepting ? -1 : kAcceptPauseMs;
    if (accepting && !newcomers_.empty()) {
      // The one that came first is the first to have waited too long.
      const absl::Duration left =
          newcomers_.front().since + kFirstBytesDeadline - MonotonicNow();
      timeout = static_cast<int>(
          std::max<int64_t>(absl::ToInt64Milliseconds(left) + 1, 0));
    }
    if (poll(polled.data(), polled.size(), timeout) < 0 && errno != EINTR) {
      LOG(Error) << "poll: " << strerror(errno) << ": no more connections";
      return;
    }
    if (polled[0].revents != 0) break;
    size_t i = 1 + listener_->sockets().size();
    for (auto it = newcomers_.begin(); it != newcomers_.end(); ++i) {
      const bool waited = MonotonicNow() - it->since > kFirstBytesDeadline;
      const bool stays = polled[i].revents == 0 ? !waited : Judge(*it);
      it = stays ? std::next(it) : newcomers_.erase(it);
    }
    // The first of them, before newcomers became some.
    for (auto it = guests_.begin(); i < polled.size(); ++i) {
      it = polled[i].revents == 0 ? std::next(it) : guests_.erase(it);
    }
    accepting = true;
    for (size_t k = 0; k < listener_->sockets().size(); ++k) {
      if (polled[1 + k].revents != 0 && !Accept(polled[1 + k].fd)) {
        accepting = false;
      }
    }
  }
  newcomers_.clear();
  guests_.clear();
  listener_.reset();
}

bool PageDoor::Accept(int listener) {
  while (true) {
    UniqueFd socket(
        accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket.valid()) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return true;
      LOG(Warning) << "cannot accept a connection: " << strerror(errno);
      return false;
    }
    // Whoever wants something says so at once.
    if (newcomers_.size() >= kMostNewcomers) newcomers_.pop_front();
    {
      // Those that are over have their places yet.
      absl::MutexLock lock(&mu_);
      ForgetThoseThatAreOver();
    }
    std::optional<ClientQuota::Place> place =
        quota_.Enter(ClientOf(socket.get()));
    if (!place.has_value()) continue;
    TunePageSocket(socket.get());
    newcomers_.push_back(
        {std::move(socket), "", MonotonicNow(), *std::move(place)});
    if (!Judge(newcomers_.back())) newcomers_.pop_back();
  }
}

bool PageDoor::Judge(Newcomer& newcomer) {
  char bytes[4096];
  const ssize_t came =
      recv(newcomer.socket.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
  if (came < 0) return errno == EAGAIN || errno == EINTR;
  if (came == 0) return false;
  newcomer.bytes.append(bytes, static_cast<size_t>(came));
  switch (JudgeBytes(newcomer)) {
    case Verdict::kTooFew:
      return true;
    case Verdict::kOurs:
      Serve(newcomer);
      return false;
    case Verdict::kOthers:
      GiveAway(newcomer);
      return false;
    case Verdict::kNobodys:
      return false;
  }
  return false;
}

PageDoor::Verdict PageDoor::JudgeBytes(const Newcomer& newcomer) const {
  const ByteSpan bytes = BytesOf(newcomer.bytes);
  const ClientHello hello = JudgeClientHello(bytes);
  if (tls_ == nullptr && hello != ClientHello::kNoTls) {
    LOG(Warning) << PeerOf(newcomer.socket.get())
                 << " wants TLS: start the server with --tls, or use grpc://";
    return Verdict::kNobodys;
  }
  if (tls_ == nullptr) {
    switch (JudgeFirstBytes(bytes)) {
      case FirstBytes::kTooFew:
        return Verdict::kTooFew;
      case FirstBytes::kSingleCall:
        return Verdict::kOurs;
      case FirstBytes::kOther:
        return Verdict::kOthers;
    }
  }
  switch (hello) {
    case ClientHello::kTooFew:
      return Verdict::kTooFew;
    case ClientHello::kSingleCall:
      return Verdict::kOurs;
    case ClientHello::kOther:
      return Verdict::kOthers;
    case ClientHello::kUnusable:
      LOG(Warning) << PeerOf(newcomer.socket.get())
                   << " speaks no TLS 1.3: it is refused";
      return Verdict::kNobodys;
    case ClientHello::kNoTls:
      LOG(Warning) << PeerOf(newcomer.socket.get())
                   << " speaks no TLS: it is refused, and needs grpcs://";
      return Verdict::kNobodys;
  }
  return Verdict::kNobodys;
}

void PageDoor::Serve(Newcomer& newcomer) {
  absl::MutexLock lock(&mu_);
  ForgetThoseThatAreOver();
  if (stopping_) return;
  if (connections_.size() >= kMostConnections) {
    LOG(Warning) << "too many streams: that of "
                 << PeerOf(newcomer.socket.get()) << " is refused";
    return;
  }
  MakeBlocking(newcomer.socket.get());
  connections_.push_back({std::move(newcomer.place),
                          std::make_unique<FetchConnection>(
                              std::move(newcomer.socket),
                              std::move(newcomer.bytes), streams_, tls_)});
}

void PageDoor::GiveAway(Newcomer& newcomer) {
  // A second descriptor tells when it is over: who has the first shuts it down.
  UniqueFd second(fcntl(newcomer.socket.get(), F_DUPFD_CLOEXEC, 0));
  if (!second.valid()) {
    LOG(Warning) << "no descriptor left for a connection: it is refused";
    return;
  }
  guests_.push_back({std::move(second), std::move(newcomer.place)});
  others_(std::move(newcomer.socket), std::move(newcomer.bytes));
}

void PageDoor::ForgetThoseThatAreOver() {
  connections_.remove_if(
      [](const Served& served) { return served.connection->is_over(); });
}

}  // namespace pagelift
