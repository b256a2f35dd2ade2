#include "tests/links/link_proxy.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/status_macros.h"
#include "lib/base/sys_error.h"

namespace pagelift::links {
namespace {

// What is read at once stands in the line as one.
constexpr size_t kChunk = 16 << 10;
// What a pipe may hold: more than a fast link has under way.
constexpr size_t kMostUnderWay = 64 << 20;
// Sleeping takes longer than it is told by about this.
constexpr absl::Duration kSpin = absl::Microseconds(60);

const sockaddr* Generic(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

void SetNoDelay(int socket) {
  const int yes = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
}

// Closing it then resets the connection.
void MakeReset(int socket) {
  const linger now{1, 0};
  setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

absl::StatusOr<UniqueFd> NewSocket() {
  UniqueFd made(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!made.valid()) return SysError("socket");
  return made;
}

}  // namespace

absl::StatusOr<sockaddr_in> ParseAddress(const std::string& text) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  const size_t colon = text.rfind(':');
  uint32_t port = 0;
  if (colon == std::string::npos ||
      inet_pton(AF_INET, text.substr(0, colon).c_str(), &address.sin_addr) !=
          1 ||
      !absl::SimpleAtoi(text.substr(colon + 1), &port) || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is not like 127.0.0.1:7077"));
  }
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

absl::StatusOr<std::unique_ptr<LinkProxy>> LinkProxy::Listen(
    const sockaddr_in& at, const sockaddr_in& server,
    const Bottleneck::Options& way) {
  ASSIGN_OR_RETURN(UniqueFd listener, NewSocket());
  const int yes = 1;
  setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  if (bind(listener.get(), Generic(at), sizeof(at)) != 0) {
    return SysError("bind");
  }
  if (listen(listener.get(), SOMAXCONN) != 0) return SysError("listen");
  return std::unique_ptr<LinkProxy>(
      new LinkProxy(std::move(listener), server, way));
}

LinkProxy::LinkProxy(UniqueFd listener, const sockaddr_in& server,
                     const Bottleneck::Options& way)
    : listener_(std::move(listener)),
      server_(server),
      there_(way, MonotonicNow()),
      back_(way, MonotonicNow()),
      buffer_(kChunk) {}

uint16_t LinkProxy::port() const {
  sockaddr_in address = {};
  socklen_t length = sizeof(address);
  getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.sin_port);
}

absl::Status LinkProxy::Run() {
  while (!stopping_) {
    const absl::Duration now = MonotonicNow();
    bool more = true;
    while (more) {
      more = false;
      for (Connection& connection : connections_) {
        for (Pipe* pipe : {&connection.there, &connection.back}) {
          if (Read(connection, *pipe, now)) more = true;
        }
      }
      // Whoever found room first does not find it first again.
      if (connections_.size() > 1) {
        connections_.splice(connections_.end(), connections_,
                            connections_.begin());
      }
    }
    for (Connection& connection : connections_) {
      for (Pipe* pipe : {&connection.there, &connection.back}) {
        Write(connection, *pipe, now);
      }
    }
    connections_.remove_if([](const Connection& connection) {
      if (connection.broken) {
        MakeReset(connection.client.get());
        MakeReset(connection.server.get());
        return true;
      }
      return connection.there.ended && connection.back.ended;
    });
    RETURN_IF_ERROR(Wait(now));
  }
  return absl::OkStatus();
}

void LinkProxy::Accept() {
  UniqueFd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!client.valid()) return;
  SetNoDelay(client.get());
  absl::StatusOr<UniqueFd> server = NewSocket();
  if (!server.ok() ||
      connect(server->get(), Generic(server_), sizeof(server_)) != 0) {
    MakeReset(client.get());
    return;
  }
  SetNoDelay(server->get());
  Connection& connection = connections_.emplace_back();
  connection.client = std::move(client);
  connection.server = *std::move(server);
  const int ends[] = {connection.client.get(), connection.server.get()};
  connection.there.from = connection.back.to = ends[0];
  connection.there.to = connection.back.from = ends[1];
  connection.there.way = &there_;
  connection.back.way = &back_;
}

bool LinkProxy::MayRead(const Pipe& pipe, absl::Duration now) const {
  return !pipe.read_all && pipe.under_way.size() < kMostUnderWay / kChunk &&
         pipe.way->RoomAt(now) <= now;
}

bool LinkProxy::Read(Connection& connection, Pipe& pipe, absl::Duration now) {
  if (connection.broken || !MayRead(pipe, now)) return false;
  const ssize_t got =
      recv(pipe.from, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
  if (got < 0) {
    if (errno != EAGAIN && errno != EINTR) connection.broken = true;
    return false;
  }
  const auto length = static_cast<size_t>(got);
  pipe.arrives = std::max(pipe.arrives, pipe.way->Enter(length, now));
  // The end stands in the line as well: it is an empty one.
  pipe.under_way.push_back(
      {{buffer_.data(), buffer_.data() + length}, pipe.arrives});
  pipe.read_all = got == 0;
  return true;
}

void LinkProxy::Write(Connection& connection, Pipe& pipe, absl::Duration now) {
  pipe.sink_is_full = false;
  while (!pipe.under_way.empty() && !connection.broken && !frozen_ &&
         pipe.under_way.front().arrives <= now) {
    const std::vector<char>& bytes = pipe.under_way.front().bytes;
    if (bytes.empty()) {
      shutdown(pipe.to, SHUT_WR);
      pipe.ended = true;
    } else {
      const ssize_t put =
          send(pipe.to, bytes.data() + pipe.written,
               bytes.size() - pipe.written, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (put < 0) {
        if (errno == EAGAIN) pipe.sink_is_full = true;
        if (errno != EAGAIN && errno != EINTR) connection.broken = true;
        return;
      }
      pipe.written += static_cast<size_t>(put);
      if (pipe.written < bytes.size()) continue;
    }
    pipe.under_way.pop_front();
    pipe.written = 0;
  }
}

absl::Status LinkProxy::Wait(absl::Duration now) {
  std::vector<pollfd> polled = {{listener_.get(), POLLIN, 0}};
  absl::Duration until = now + absl::Milliseconds(100);
  for (const Connection& connection : connections_) {
    for (const Pipe* pipe : {&connection.there, &connection.back}) {
      if (MayRead(*pipe, now)) {
        polled.push_back({pipe->from, POLLIN, 0});
      } else if (!pipe->read_all) {
        // No room: of the line, or of what is under way, which is waited for
        // below.
        const absl::Duration room = pipe->way->RoomAt(now);
        if (now < room) until = std::min(until, room);
      }
      if (pipe->sink_is_full) {
        polled.push_back({pipe->to, POLLOUT, 0});
      } else if (!pipe->under_way.empty() && !frozen_) {
        until = std::min(until, pipe->under_way.front().arrives);
      }
    }
  }
  const absl::Duration sleep = until - MonotonicNow() - kSpin;
  const timespec timeout =
      absl::ToTimespec(std::max(absl::ZeroDuration(), sleep));
  if (ppoll(polled.data(), polled.size(), &timeout, nullptr) < 0) {
    if (errno != EINTR) return SysError("ppoll");
    return absl::OkStatus();
  }
  if (polled.front().revents != 0) Accept();
  return absl::OkStatus();
}

}  // namespace pagelift::links
