// What a hostile far end can send: bytes as they are, or a real end's with
// some of them changed. Messages that come out lie within what went in.

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/byte_span.h"
#include "lib/base/log.h"
#include "lib/http2/first_bytes.h"
#include "lib/http2/single_call.h"

namespace pagelift {
namespace {

std::string Bytes(OutputQueue& queue) {
  int fds[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
  CHECK(queue.SendTo(fds[0], MSG_DONTWAIT).ok());
  std::string all(65536, '\0');
  const ssize_t n = recv(fds[1], &all[0], all.size(), MSG_DONTWAIT);
  all.resize(n > 0 ? static_cast<size_t>(n) : 0);
  close(fds[0]);
  close(fds[1]);
  return all;
}

// What a client sends that makes a call and sends two messages.
const std::string& ClientBytes() {
  static const auto* const bytes = new std::string([] {
    std::unique_ptr<SingleCall> client = SingleCall::Client("host", "/a.B/C");
    client->Send("first", {});
    client->Send("second", BytesOf("tail"));
    client->Finish(absl::OkStatus());
    OutputQueue queue;
    client->Produce(queue);
    return Bytes(queue);
  }());
  return *bytes;
}

// What a server answers to that.
const std::string& ServerBytes() {
  static const auto* const bytes = new std::string([] {
    std::unique_ptr<SingleCall> server = SingleCall::Server();
    CHECK(server->Receive(BytesOf(ClientBytes())).ok());
    server->Accept({{"pagelift-protocol", "1"}});
    server->Send("head", BytesOf("pages pages pages"));
    server->Finish(absl::UnavailableError("%20"));
    OutputQueue queue;
    server->Produce(queue);
    return Bytes(queue);
  }());
  return *bytes;
}

void Feed(SingleCall& call, bool is_server, const std::string& input,
          size_t cut) {
  for (size_t at = 0; at < input.size(); at += cut) {
    const ByteSpan piece =
        BytesOf(input).subspan(at, std::min(cut, input.size() - at));
    const absl::Status status = call.Receive(piece);
    if (is_server && call.has_headers() && at % 2 == 0) {
      call.Accept({{"a", "b"}});
      call.Send("an", BytesOf("answer"));
    }
    OutputQueue queue;
    call.Produce(queue);
    if (!status.ok()) return;
    while (call.messages().has_message()) {
      for (ByteSpan message : call.messages().front()) {
        CHECK(message.data() >= BytesOf(input).data());
        CHECK(message.data() + message.size() <=
              BytesOf(input).data() + input.size());
      }
      call.messages().Pop();
    }
    if (call.ended().has_value()) return;
  }
}

}  // namespace
}  // namespace pagelift

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pagelift;
  if (size < 3) return 0;
  const bool is_server = (data[0] & 1) != 0;
  const bool raw = (data[0] & 2) != 0;
  const size_t cut = 1 + data[1];
  std::string input;
  if (raw) {
    input.assign(reinterpret_cast<const char*>(data) + 2, size - 2);
  } else {
    input = is_server ? ClientBytes() : ServerBytes();
    // Pairs of a place and a change.
    for (size_t i = 2; i + 1 < size; i += 2) {
      input[data[i] % input.size()] ^= static_cast<char>(data[i + 1]);
    }
  }
  // Decided before the limit, and the same whatever follows.
  const FirstBytes whole = JudgeFirstBytes(BytesOf(input));
  CHECK(whole != FirstBytes::kTooFew || input.size() < kMostFirstBytes);
  std::unique_ptr<SingleCall> call =
      is_server ? SingleCall::Server() : SingleCall::Client("host", "/a.B/C");
  OutputQueue queue;
  call->Produce(queue);
  Feed(*call, is_server, input, cut);
  return 0;
}
