#ifndef PAGELIFT_LIB_TRANSPORT_SOCKET_ADDRESS_H_
#define PAGELIFT_LIB_TRANSPORT_SOCKET_ADDRESS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "lib/base/unique_fd.h"

// Where page servers are: HOST:PORT, [IPV6]:PORT, or unix:PATH.
namespace pagelift {

// Sockets that listen on an address, on all that its name stands for.
//
// Thread-compatible. Takes a Unix socket's name away when it goes.
class Listener {
 public:
  // Port 0 takes any. A Unix socket that nobody listens on any more is taken
  // over; one that somebody does, or a file in its place, is kAlreadyExists.
  static absl::StatusOr<Listener> ListenOn(const std::string& address);
  ~Listener();
  Listener(Listener&&) noexcept = default;
  Listener& operator=(Listener&&) = delete;

  // They do not block.
  const std::vector<UniqueFd>& sockets() const { return sockets_; }
  // With the port that was chosen.
  const std::string& address() const { return address_; }

 private:
  Listener(std::vector<UniqueFd> sockets, std::string address,
           std::string path);

  std::vector<UniqueFd> sockets_;
  std::string address_;
  std::string path_;  // Of a Unix socket, else empty.
};

// A connection to the first of the addresses behind `address` that takes one;
// its socket blocks.
// Waits `deadline` for each at most, and no longer than until `cancel`, a
// descriptor, is readable: kCancelled. kUnavailable if none answers.
absl::StatusOr<UniqueFd> ConnectTo(const std::string& address,
                                   absl::Duration deadline, int cancel);

// Has calls on `socket` wait for what they are for.
void MakeBlocking(int socket);

// What both ends of a connection that carries pages want: no Nagle, and a dead
// far end noticed within 15 s, silent or not. Without effect on Unix sockets.
void TunePageSocket(int socket);

// The host at the far end of a connection: one name for all of its. Of IPv6 the
// network, /64, in which a host may have as many addresses as it likes.
std::string ClientOf(int socket);
// That of connections on Unix sockets.
constexpr char kThisHost[] = "a client on this host";

// The far end of a connection, for people.
std::string PeerOf(int socket);

// Whether only this host can reach it.
bool IsLocalAddress(absl::string_view address);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_SOCKET_ADDRESS_H_
