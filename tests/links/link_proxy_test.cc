#include "tests/links/link_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <string>
#include <thread>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "lib/base/monotonic_time.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/unique_fd.h"
#include "tests/links/bottleneck.h"

namespace pagelift::links {
namespace {

class LinkProxyTest : public ::testing::Test {
 protected:
  // A client and a server with a link between them.
  void Connect(const Bottleneck::Options& way) {
    ASSERT_OK_AND_ASSIGN(sockaddr_in any, ParseAddress("127.0.0.1:0"));
    UniqueFd listener(socket(AF_INET, SOCK_STREAM, 0));
    ASSERT_EQ(
        bind(listener.get(), reinterpret_cast<sockaddr*>(&any), sizeof(any)),
        0);
    ASSERT_EQ(listen(listener.get(), 1), 0);
    sockaddr_in server = {};
    socklen_t length = sizeof(server);
    getsockname(listener.get(), reinterpret_cast<sockaddr*>(&server), &length);
    ASSERT_OK_AND_ASSIGN(proxy_, LinkProxy::Listen(any, server, way));
    running_ = std::thread([this] { EXPECT_OK(proxy_->Run()); });
    sockaddr_in to = any;
    to.sin_port = htons(proxy_->port());
    client_ = UniqueFd(socket(AF_INET, SOCK_STREAM, 0));
    ASSERT_EQ(
        connect(client_.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)),
        0);
    server_ = UniqueFd(accept(listener.get(), nullptr, nullptr));
    ASSERT_TRUE(server_.valid());
  }

  void TearDown() override {
    if (proxy_ != nullptr) proxy_->Stop();
    client_.reset();
    if (running_.joinable()) running_.join();
  }

  static void SendAll(const UniqueFd& to, const std::string& bytes) {
    size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t put =
          send(to.get(), bytes.data() + sent, bytes.size() - sent, 0);
      ASSERT_GT(put, 0);
      sent += static_cast<size_t>(put);
    }
  }
  static std::string Receive(const UniqueFd& from, size_t length) {
    std::string bytes(length, '\0');
    const ssize_t got = recv(from.get(), bytes.data(), length, MSG_WAITALL);
    bytes.resize(got < 0 ? 0 : static_cast<size_t>(got));
    return bytes;
  }

  std::unique_ptr<LinkProxy> proxy_;
  std::thread running_;
  UniqueFd client_;
  UniqueFd server_;
};

// A few MiB, no two places alike.
std::string Contents() {
  std::string bytes;
  for (int i = 0; bytes.size() < 3 << 20; ++i) bytes += std::to_string(i * 7);
  return bytes;
}

TEST_F(LinkProxyTest, WhatComesOutIsWhatWentInBothWays) {
  Bottleneck::Options way;
  way.bytes_per_second = 1e8;
  way.jitter = absl::Milliseconds(3);
  Connect(way);
  const std::string bytes = Contents();
  std::thread answering([&] { SendAll(server_, bytes); });
  std::thread asking([&] { SendAll(client_, bytes); });
  std::string there;
  std::thread listening([&] { there = Receive(server_, bytes.size()); });
  EXPECT_TRUE(Receive(client_, bytes.size()) == bytes);
  for (std::thread* thread : {&answering, &asking, &listening}) thread->join();
  EXPECT_TRUE(there == bytes);
}

TEST_F(LinkProxyTest, EverythingIsLateByTheDelay) {
  Bottleneck::Options way;
  way.delay = absl::Milliseconds(20);
  Connect(way);
  const absl::Duration began = MonotonicNow();
  SendAll(client_, "x");
  EXPECT_EQ(Receive(server_, 1), "x");
  SendAll(server_, "y");
  EXPECT_EQ(Receive(client_, 1), "y");
  EXPECT_GE(MonotonicNow() - began, absl::Milliseconds(40));
}

TEST_F(LinkProxyTest, NoMoreThanTheRateGoesThrough) {
  Bottleneck::Options way;
  way.bytes_per_second = 1e7;
  Connect(way);
  const absl::Duration began = MonotonicNow();
  const std::string bytes = Contents();
  std::thread asking([&] { SendAll(client_, bytes); });
  EXPECT_TRUE(Receive(server_, bytes.size()) == bytes);
  asking.join();
  EXPECT_GE(MonotonicNow() - began, absl::Milliseconds(300));
}

TEST_F(LinkProxyTest, OneSideMayEndAndStillListen) {
  Connect({});
  SendAll(client_, "question");
  shutdown(client_.get(), SHUT_WR);
  EXPECT_EQ(Receive(server_, 100), "question");
  SendAll(server_, "answer");
  server_.reset();
  EXPECT_EQ(Receive(client_, 100), "answer");
}

TEST_F(LinkProxyTest, AResetIsPassedOn) {
  Connect({});
  const linger now{1, 0};
  setsockopt(server_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  server_.reset();
  char byte;
  EXPECT_EQ(recv(client_.get(), &byte, 1, 0), -1);
  EXPECT_EQ(errno, ECONNRESET);
}

TEST_F(LinkProxyTest, AFrozenLinkLosesNothing) {
  Connect({});
  proxy_->Freeze(true);
  SendAll(client_, "later");
  char byte;
  const timeval a_while{0, 100000};
  setsockopt(server_.get(), SOL_SOCKET, SO_RCVTIMEO, &a_while, sizeof(a_while));
  EXPECT_EQ(recv(server_.get(), &byte, 1, 0), -1);
  proxy_->Freeze(false);
  const timeval for_ever{0, 0};
  setsockopt(server_.get(), SOL_SOCKET, SO_RCVTIMEO, &for_ever,
             sizeof(for_ever));
  EXPECT_EQ(Receive(server_, 5), "later");
}

TEST(ParseAddressTest, RefusesWhatIsNone) {
  for (const char* text : {"", "127.0.0.1", "localhost:1", "127.0.0.1:65536",
                           "127.0.0.1:x", ":1"}) {
    EXPECT_FALSE(ParseAddress(text).ok()) << text;
  }
}

}  // namespace
}  // namespace pagelift::links
