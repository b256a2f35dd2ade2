#include "lib/http2/single_call.h"

#include <sys/socket.h>
#include <unistd.h>

#include <list>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/byte_span.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

// What an OutputQueue would send.
std::string Sent(OutputQueue& queue) {
  int fds[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  std::string all;
  bool done = false;
  while (!done) {
    absl::StatusOr<bool> sent = queue.SendTo(fds[0], MSG_DONTWAIT);
    EXPECT_OK(sent);
    done = *sent;
    char bytes[65536];
    ssize_t n;
    while ((n = recv(fds[1], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
      all.append(bytes, static_cast<size_t>(n));
    }
  }
  close(fds[0]);
  close(fds[1]);
  return all;
}

// An end with what it received, cut as the test likes.
struct End {
  explicit End(std::unique_ptr<SingleCall> end_call)
      : call(std::move(end_call)) {}

  void Receive(const std::string& bytes, size_t cut) {
    for (size_t at = 0; at < bytes.size(); at += cut) {
      received.push_back(bytes.substr(at, cut));
      status = call->Receive(BytesOf(received.back()));
      if (!status.ok()) return;
    }
    while (call->messages().has_message()) {
      messages.push_back(Joined(call->messages().front()));
      call->messages().Pop();
    }
  }

  std::unique_ptr<SingleCall> call;
  std::list<std::string> received;  // Stays where it is.
  std::vector<std::string> messages;
  absl::Status status;
};

class SingleCallTest : public ::testing::TestWithParam<size_t> {
 protected:
  // Carries bytes both ways until neither end has any more.
  void Exchange() {
    while (true) {
      OutputQueue there, back;
      client_.call->Produce(there);
      server_.call->Produce(back);
      if (there.empty() && back.empty()) return;
      server_.Receive(Sent(there), GetParam());
      client_.Receive(Sent(back), GetParam());
      ASSERT_OK(client_.status);
      ASSERT_OK(server_.status);
    }
  }

  End client_{SingleCall::Client("host:1", "/p.Service/Method")};
  End server_{SingleCall::Server()};
};

TEST_P(SingleCallTest, CarriesMessagesBothWays) {
  client_.call->Send("hello", {});
  Exchange();
  ASSERT_TRUE(server_.call->has_headers());
  EXPECT_THAT(server_.call->headers(),
              Contains(Pair(":path", "/p.Service/Method")));
  EXPECT_THAT(server_.messages, ElementsAre("hello"));
  EXPECT_FALSE(client_.call->has_headers());

  server_.call->Accept({{"version", "1"}});
  Exchange();
  EXPECT_THAT(client_.call->headers(), Contains(Pair("version", "1")));
  const std::string pages(2 << 20, 'p');
  server_.call->Send("head", BytesOf(pages));
  server_.call->Send("", {});
  client_.call->Send("more", {});
  Exchange();
  EXPECT_THAT(client_.messages, ElementsAre("head" + pages, ""));
  EXPECT_THAT(server_.messages, ElementsAre("hello", "more"));

  client_.call->Finish(absl::OkStatus());
  Exchange();
  EXPECT_EQ(server_.call->ended(), absl::OkStatus());
  server_.call->Send("last", {});
  server_.call->Finish(absl::DataLossError("gone: 100%"));
  Exchange();
  EXPECT_THAT(client_.messages.back(), "last");
  EXPECT_EQ(client_.call->ended(), absl::DataLossError("gone: 100%"));
}

TEST_P(SingleCallTest, RefusesACallWithItsReason) {
  client_.call->Send("hello", {});
  Exchange();
  server_.call->Finish(absl::NotFoundError("no image \"ä\""));
  Exchange();
  EXPECT_FALSE(client_.call->has_headers());
  EXPECT_EQ(client_.call->ended(), absl::NotFoundError("no image \"ä\""));
}

TEST_P(SingleCallTest, AServersWindowHoldsBackAClientThatSendsTooMuch) {
  const std::string large(3 << 20, 'x');
  OutputQueue there;
  client_.call->Send("", BytesOf(large));
  client_.call->Produce(there);
  EXPECT_TRUE(client_.call->has_unsent());
  EXPECT_LT(there.size_bytes(), large.size());
  server_.Receive(Sent(there), GetParam());
  Exchange();
  EXPECT_FALSE(client_.call->has_unsent());
  EXPECT_THAT(server_.messages, ElementsAre(large));
}

TEST_P(SingleCallTest, BorrowsTheTail) {
  client_.call->Send("", {});
  Exchange();
  server_.call->Accept({});
  Exchange();
  std::string tail(100000, 'a');
  server_.call->Send("", BytesOf(tail));
  OutputQueue queue;
  server_.call->Produce(queue);
  tail.assign(tail.size(), 'b');
  client_.Receive(Sent(queue), GetParam());
  EXPECT_THAT(client_.messages, ElementsAre(tail));
}

INSTANTIATE_TEST_SUITE_P(Cuts, SingleCallTest,
                         ::testing::Values(11, 4096, 1 << 30));

TEST(SingleCallServerTest, RefusesGarbage) {
  std::unique_ptr<SingleCall> server = SingleCall::Server();
  EXPECT_THAT(server->Receive(BytesOf("GET / HTTP/1.1\r\nHost: host\r\n\r\n")),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("rules of HTTP/2")));
}

TEST(SingleCallServerTest, RefusesAMessageThatIsTooLong) {
  End client(SingleCall::Client("h", "/m"));
  End server(SingleCall::Server());
  const std::string large(SingleCall::kMostMessageBytes + 1, 'x');
  client.call->Send("", BytesOf(large));
  OutputQueue queue;
  client.call->Produce(queue);
  server.Receive(Sent(queue), 1 << 30);
  EXPECT_THAT(server.status, StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST(SingleCallClientTest, AServerThatIsOverSaysSo) {
  End client(SingleCall::Client("h", "/m"));
  // The beginning of HTTP/2 at a server, and GOAWAY of NO_ERROR for stream 0.
  const std::string bytes(
      "\0\0\0\4\0\0\0\0\0"
      "\0\0\10\7\0\0\0\0\0\0\0\0\0\0\0\0\0",
      26);
  OutputQueue queue;
  client.call->Produce(queue);
  client.Receive(bytes, 1 << 30);
  EXPECT_OK(client.status);
  ASSERT_TRUE(client.call->ended().has_value());
  EXPECT_THAT(*client.call->ended(), StatusIs(absl::StatusCode::kUnavailable));
  client.call->Produce(queue);  // It still has settings to acknowledge.
  EXPECT_TRUE(client.call->is_over());
  EXPECT_THAT(client.messages, IsEmpty());
}

}  // namespace
}  // namespace pagelift
