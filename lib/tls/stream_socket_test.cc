#include "lib/tls/stream_socket.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/tls/testing/test_authority.h"
#include "lib/tls/tls_credentials.h"

namespace pagelift {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

enum class Kind { kPlain, kTls };

class StreamSocketTest : public ::testing::TestWithParam<Kind> {
 protected:
  StreamSocketTest() {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    here_ = StreamSocket(UniqueFd(fds[0]));
    there_ = StreamSocket(UniqueFd(fds[1]));
    authority_.Issue({"here"}, dir_.Join("here"));
    authority_.Issue({"there"}, dir_.Join("there"));
  }

  void SetUp() override {
    if (GetParam() == Kind::kPlain) return;
    std::thread server([this] { EXPECT_OK(Accept(absl::Seconds(30), -1)); });
    EXPECT_OK(Connect(absl::Seconds(30), -1));
    server.join();
  }

  absl::Status Accept(absl::Duration deadline, int cancel) {
    auto credentials =
        TlsCredentials::Load(dir_.Join("there"), TlsCredentials::End::kServer);
    return there_.StartTls(TlsSession::Server(*(*credentials)->Current()), {},
                           deadline, cancel);
  }
  absl::Status Connect(absl::Duration deadline, int cancel) {
    auto credentials =
        TlsCredentials::Load(dir_.Join("here"), TlsCredentials::End::kClient);
    return here_.StartTls(
        TlsSession::Client(*(*credentials)->Current(), "localhost"), {},
        deadline, cancel);
  }

  static void SendAll(StreamSocket& socket, const std::string& text) {
    size_t sent = 0;
    while (sent < text.size()) {
      // In two pieces.
      const size_t half = (text.size() - sent) / 2;
      char* const from = const_cast<char*>(text.data()) + sent;
      const iovec pieces[] = {{from, half},
                              {from + half, text.size() - sent - half}};
      const ssize_t n = socket.Send(pieces, 0);
      ASSERT_GT(n, 0) << socket.Error("send");
      sent += static_cast<size_t>(n);
    }
  }

  static std::string Receive(StreamSocket& socket, size_t most, int flags) {
    std::string text(most, '\0');
    const ssize_t n = socket.Receive(
        absl::MakeSpan(reinterpret_cast<std::byte*>(&text[0]), most), flags);
    EXPECT_GE(n, 0) << socket.Error("receive");
    text.resize(static_cast<size_t>(std::max<ssize_t>(n, 0)));
    return text;
  }

  TempDir dir_;
  const TestAuthority authority_{"an authority"};
  StreamSocket here_;
  StreamSocket there_;
};

std::string Text(size_t size) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 7 / 5);
  return text;
}

TEST_P(StreamSocketTest, CarriesALotBothWaysAtOnce) {
  const std::string text = Text(5 << 20);
  std::vector<std::thread> threads;
  for (auto [from, to] : {std::pair(&here_, &there_), {&there_, &here_}}) {
    threads.emplace_back([&text, from = from] { SendAll(*from, text); });
    threads.emplace_back([&text, to = to] {
      std::string came;
      while (came.size() < text.size()) {
        const std::string more = Receive(*to, 100000, 0);
        if (more.empty()) break;
        came += more;
      }
      EXPECT_TRUE(came == text);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(StreamSocketTest, KnowsWhoIsThere) {
  if (GetParam() == Kind::kPlain) {
    EXPECT_THAT(there_.PeerNames(), IsEmpty());
  } else {
    EXPECT_THAT(there_.PeerNames(), Contains("CN:here"));
    EXPECT_THAT(here_.PeerNames(), Contains("CN:there"));
  }
}

TEST_P(StreamSocketTest, DoesNotWaitIfItMustNot) {
  std::byte bytes[10];
  EXPECT_EQ(here_.Receive(bytes, MSG_DONTWAIT), -1);
  EXPECT_EQ(errno, EAGAIN);
}

TEST_P(StreamSocketTest, WaitsForAllIfItMust) {
  const std::string text = Text(200000);
  std::thread sender([this, &text] {
    SendAll(there_, text.substr(0, 5));
    SendAll(there_, text.substr(5));
  });
  EXPECT_TRUE(Receive(here_, text.size(), MSG_WAITALL) == text);
  sender.join();
}

TEST_P(StreamSocketTest, SaysWhatPollCannotKnow) {
  SendAll(there_, "abcdef");
  EXPECT_EQ(Receive(here_, 4, 0), "abcd");
  if (GetParam() == Kind::kTls) {
    // The kernel has none of it any more.
    EXPECT_TRUE(here_.has_received());
  }
  EXPECT_EQ(Receive(here_, 4, MSG_DONTWAIT), "ef");
  EXPECT_FALSE(here_.has_received());
}

TEST_P(StreamSocketTest, AfterAFullSocketGoesOnWhereItWas) {
  const std::string text = Text(8 << 20);
  std::string came;
  size_t sent = 0;
  int full = 0;
  while (sent < text.size()) {
    const iovec piece = {const_cast<char*>(text.data()) + sent,
                         text.size() - sent};
    const ssize_t n = here_.Send({&piece, 1}, MSG_DONTWAIT);
    if (n > 0) {
      sent += static_cast<size_t>(n);
      continue;
    }
    ASSERT_EQ(errno, EAGAIN);
    ++full;
    came += Receive(there_, 300000, 0);
  }
  EXPECT_GT(full, 0);
  while (came.size() < text.size()) came += Receive(there_, 300000, 0);
  EXPECT_TRUE(came == text);
}

TEST_P(StreamSocketTest, TheEndIsTold) {
  SendAll(there_, "abc");
  there_.ShutdownSending();
  EXPECT_EQ(Receive(here_, 10, MSG_WAITALL), "abc");
  EXPECT_EQ(Receive(here_, 10, 0), "");
  SendAll(here_, "still");
  EXPECT_EQ(Receive(there_, 10, 0), "still");
}

TEST_P(StreamSocketTest, ShutdownOfTheDescriptorEndsWhoWaits) {
  std::thread receiver([this] { EXPECT_EQ(Receive(here_, 10, 0), ""); });
  shutdown(here_.fd(), SHUT_RDWR);
  receiver.join();
}

INSTANTIATE_TEST_SUITE_P(Kinds, StreamSocketTest,
                         ::testing::Values(Kind::kPlain, Kind::kTls));

class TlsStreamSocketTest : public StreamSocketTest {
 protected:
  void SetUp() override {}
};

INSTANTIATE_TEST_SUITE_P(Kinds, TlsStreamSocketTest,
                         ::testing::Values(Kind::kTls));

TEST_P(TlsStreamSocketTest, AFarEndThatSaysNothingIsNotWaitedForForEver) {
  EXPECT_THAT(Connect(absl::Milliseconds(20), -1),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("does not answer in time")));
}

TEST_P(TlsStreamSocketTest, AHandshakeCanBeCancelled) {
  const UniqueFd cancel(eventfd(1, EFD_CLOEXEC));
  EXPECT_THAT(Connect(absl::Seconds(30), cancel.get()),
              StatusIs(absl::StatusCode::kCancelled));
}

TEST_P(TlsStreamSocketTest, AFarEndThatLeavesIsNamed) {
  shutdown(there_.fd(), SHUT_WR);
  EXPECT_THAT(Connect(absl::Seconds(30), -1),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("closed the connection")));
}

TEST_P(TlsStreamSocketTest, BytesThatWereReadBeforeAreTakenIntoAccount) {
  std::thread server([this] {
    std::byte first[3];
    ASSERT_EQ(recv(there_.fd(), first, sizeof(first), MSG_WAITALL), 3);
    auto credentials =
        TlsCredentials::Load(dir_.Join("there"), TlsCredentials::End::kServer);
    EXPECT_OK(there_.StartTls(TlsSession::Server(*(*credentials)->Current()),
                              first, absl::Seconds(30), -1));
  });
  EXPECT_OK(Connect(absl::Seconds(30), -1));
  server.join();
  SendAll(here_, "abc");
  EXPECT_EQ(Receive(there_, 10, 0), "abc");
}

TEST_P(TlsStreamSocketTest, DamageIsAnErrorThatSaysSo) {
  std::thread server([this] { EXPECT_OK(Accept(absl::Seconds(30), -1)); });
  EXPECT_OK(Connect(absl::Seconds(30), -1));
  server.join();
  ASSERT_EQ(send(there_.fd(), "\x17\x03\x03\x00\x20", 5, 0), 5);
  const std::string damage(32, 'x');
  ASSERT_EQ(send(there_.fd(), damage.data(), damage.size(), 0), 32);
  std::byte bytes[10];
  EXPECT_EQ(here_.Receive(bytes, 0), -1);
  EXPECT_THAT(here_.Error("receive"),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("TLS: ")));
}

TEST_P(TlsStreamSocketTest, DamageBehindBytesThatAreGoodIsToldAtOnce) {
  std::thread server([this] { EXPECT_OK(Accept(absl::Seconds(30), -1)); });
  EXPECT_OK(Connect(absl::Seconds(30), -1));
  server.join();
  SendAll(there_, "good");
  std::string damage("\x17\x03\x03\x00\x20", 5);
  damage += std::string(32, 'x');
  ASSERT_EQ(send(there_.fd(), damage.data(), damage.size(), 0), 37);
  EXPECT_EQ(Receive(here_, 100, 0), "good");
  // Whoever waits for the descriptor would wait for ever.
  EXPECT_TRUE(here_.has_received());
  std::byte bytes[10];
  EXPECT_EQ(here_.Receive(bytes, MSG_DONTWAIT), -1);
  EXPECT_THAT(here_.Error("receive"),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("TLS: ")));
  EXPECT_FALSE(here_.has_received());
  // And the far end learns why.
  EXPECT_EQ(there_.Receive(bytes, 0), -1);
  EXPECT_THAT(there_.Error("receive"), Not(IsOk()));
}

}  // namespace
}  // namespace pagelift
