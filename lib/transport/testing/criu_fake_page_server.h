#ifndef PAGELIFT_LIB_TRANSPORT_TESTING_CRIU_FAKE_PAGE_SERVER_H_
#define PAGELIFT_LIB_TRANSPORT_TESTING_CRIU_FAKE_PAGE_SERVER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "lib/base/unique_fd.h"
#include "lib/source/image_description.h"

namespace pagelift {

// CRIU's page server as a test plays it, step by step: a listener on a free
// port of this host that takes one connection. Image page p reads as
// PatternOf(p).
//
// Every step waits for the client for a while at most. Thread-compatible.
class CriuFakePageServer {
 public:
  // A client's message, decoded independently of the code under test.
  struct Request {
    uint32_t command = 0;
    uint64_t pages = 0;
    uint64_t address = 0;
    uint64_t id = 0;
  };
  static constexpr uint32_t kGet = 7;
  static constexpr uint32_t kClose = 0x1023;
  // How a connection ended.
  enum class End { kInOrder, kReset, kNotYet };

  explicit CriuFakePageServer(ImageDescription image);

  uint16_t port() const { return port_; }

  // Takes the one connection, and closes the listener as CRIU does.
  void Accept();
  // No more listening, no connection: what a dump that is not ready looks like.
  void StopListening() { listener_.reset(); }

  // The next message; nothing if the connection ended.
  std::optional<Request> Receive();
  // Whether a byte, or an end, is there already.
  bool HasInput() const;
  // Whether a whole message is.
  bool HasMessage() const;

  // Answers with the first `most` pages, or all that were asked for. False, and
  // nothing is sent, if the image has not got exactly these pages to serve:
  // what CRIU hangs or dies of.
  bool Reply(const Request& request, uint64_t most = UINT64_MAX);
  // Answers GETs until something else comes, which is returned.
  std::optional<Request> ReplyUntilOther(uint64_t most = UINT64_MAX);
  void Send(absl::Span<const std::byte> bytes);
  void SendStatus(int32_t status);

  // The next thing after all messages.
  End WaitForEnd();
  void EndInOrder() { connection_.reset(); }
  void Reset();

 private:
  // The image page of a page of a task, if it is one to be served.
  std::optional<ImagePage> Find(uint64_t pid, PageId page) const;
  // Fills `into`, or says that the connection ended first.
  bool ReceiveAll(absl::Span<std::byte> into);

  const ImageDescription image_;
  UniqueFd listener_;
  UniqueFd connection_;
  uint16_t port_ = 0;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_TESTING_CRIU_FAKE_PAGE_SERVER_H_
