#ifndef PAGELIFT_TESTS_LINKS_LINK_PROXY_H_
#define PAGELIFT_TESTS_LINKS_LINK_PROXY_H_

#include <netinet/in.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/unique_fd.h"
#include "tests/links/bottleneck.h"

namespace pagelift::links {

// A link between a client and a server, in user space: accepts TCP connections,
// makes one to the server for each, and passes on what comes, later, and no
// faster than the link. All connections share it. The end of a stream is passed
// on as it is, and a reset as a reset.
//
// One thread; Freeze() and Stop() are for others, and for signal handlers.
class LinkProxy {
 public:
  // Listens when this returns. `way` is of both directions, each by itself.
  static absl::StatusOr<std::unique_ptr<LinkProxy>> Listen(
      const sockaddr_in& at, const sockaddr_in& server,
      const Bottleneck::Options& way);

  uint16_t port() const;

  // Until Stop(), or a failure.
  absl::Status Run();
  void Stop() { stopping_ = true; }
  // Nothing arrives any more, until it is frozen no longer.
  void Freeze(bool frozen) { frozen_ = frozen; }

 private:
  struct Segment {
    std::vector<char> bytes;
    absl::Duration arrives;
  };
  // One direction of one connection.
  struct Pipe {
    int from;
    int to;
    Bottleneck* way;
    std::deque<Segment> under_way;
    size_t written = 0;      // Of the first one.
    absl::Duration arrives;  // Of the last one.
    bool read_all = false;   // The end came.
    bool ended = false;      // And was passed on.
    bool sink_is_full = false;
  };
  struct Connection {
    UniqueFd client;
    UniqueFd server;
    Pipe there;
    Pipe back;
    bool broken = false;
  };

  LinkProxy(UniqueFd listener, const sockaddr_in& server,
            const Bottleneck::Options& way);

  void Accept();
  // At most one chunk, so that connections take turns where they share a line;
  // whether there was one.
  bool Read(Connection& connection, Pipe& pipe, absl::Duration now);
  // Writes what has arrived by `now`.
  void Write(Connection& connection, Pipe& pipe, absl::Duration now);
  bool MayRead(const Pipe& pipe, absl::Duration now) const;
  // Until a socket is ready or something arrives.
  absl::Status Wait(absl::Duration now);

  UniqueFd listener_;
  sockaddr_in server_;
  Bottleneck there_;
  Bottleneck back_;
  std::list<Connection> connections_;
  std::vector<char> buffer_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> frozen_{false};
};

// "127.0.0.1:7077"; port 0 is any. kInvalidArgument if it is not like that.
absl::StatusOr<sockaddr_in> ParseAddress(const std::string& text);

}  // namespace pagelift::links

#endif  // PAGELIFT_TESTS_LINKS_LINK_PROXY_H_
