#include "lib/transport/page_door.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/eventually.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/base/unique_fd.h"
#include "lib/http2/output_queue.h"
#include "lib/http2/single_call.h"
#include "lib/transport/socket_address.h"
#include "lib/transport/testing/test_page_server.h"

namespace pagelift {
namespace {

class PageDoorTest : public ::testing::Test {
 protected:
  PageDoorTest() {
    absl::StatusOr<Listener> listener =
        Listener::ListenOn("unix:" + dir_.Join("s"));
    EXPECT_OK(listener);
    door_ = std::make_unique<PageDoor>(
        *std::move(listener), streams_,
        [this](UniqueFd socket, std::string first_bytes) {
          EXPECT_NE(fcntl(socket.get(), F_GETFL) & O_NONBLOCK, 0);
          absl::MutexLock lock(&mu_);
          others_.push_back(std::move(first_bytes));
        });
  }

  UniqueFd Connect() {
    absl::StatusOr<UniqueFd> socket =
        ConnectTo(door_->address(), absl::Seconds(30), never_.get());
    EXPECT_OK(socket);
    return *std::move(socket);
  }

  static void Send(const UniqueFd& socket, absl::string_view bytes) {
    EXPECT_EQ(send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }

  // Waits until `count` connections were given to others.
  std::vector<std::string> Others(size_t count) {
    auto came = [this, count]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return others_.size() >= count;
    };
    absl::MutexLock lock(&mu_);
    EXPECT_TRUE(mu_.AwaitWithTimeout(absl::Condition(&came), absl::Minutes(1)));
    return others_;
  }

  // Whether the door's own kind of service answers on it.
  static bool IsServed(const UniqueFd& socket) {
    OutputQueue output;
    SingleCall::Client("host", "/method")->Produce(output);
    EXPECT_OK(output.SendTo(socket.get(), 0));
    char bytes[9] = {};
    // SETTINGS, the first thing that a server of HTTP/2 says.
    return recv(socket.get(), bytes, sizeof(bytes), MSG_WAITALL) == 9 &&
           bytes[3] == 4;
  }

  TempDir dir_;
  const UniqueFd never_{eventfd(0, EFD_CLOEXEC)};
  FakeCatalog catalog_;
  StreamAdmission streams_{catalog_};
  absl::Mutex mu_;
  std::vector<std::string> others_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<PageDoor> door_;
};

TEST_F(PageDoorTest, ServesWhatIsMarkedAndGivesTheRestToOthers) {
  UniqueFd other = Connect();
  Send(other, "GET / HTTP/1.1\r\n");
  EXPECT_THAT(Others(1), ::testing::ElementsAre("GET / HTTP/1.1\r\n"));
  UniqueFd ours = Connect();
  EXPECT_TRUE(IsServed(ours));
}

TEST_F(PageDoorTest, WaitsForBytesThatComeOneByOne) {
  const std::string magic = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  const std::string settings("\0\0\0\4\0\0\0\0\0", 9);
  UniqueFd socket = Connect();
  for (char c : magic + settings) Send(socket, absl::string_view(&c, 1));
  EXPECT_EQ(Others(1)[0], magic + settings);
}

TEST_F(PageDoorTest, ConnectionsThatSayNothingHoldUpNobody) {
  std::vector<UniqueFd> silent;
  for (int i = 0; i < 200; ++i) silent.push_back(Connect());
  EXPECT_TRUE(IsServed(Connect()));
  for (UniqueFd& socket : silent) socket.reset();
  EXPECT_TRUE(IsServed(Connect()));
  door_->Stop(absl::InfiniteDuration());
}

// By TCP, on which a host can be several clients.
class PageDoorQuotaTest : public PageDoorTest {
 protected:
  static constexpr size_t kMost = 20;

  PageDoorQuotaTest() {
    absl::StatusOr<Listener> listener = Listener::ListenOn("127.0.0.1:0");
    EXPECT_OK(listener);
    door_ = std::make_unique<PageDoor>(
        *std::move(listener), streams_,
        [this](UniqueFd socket, std::string first_bytes) {
          absl::MutexLock lock(&mu_);
          given_.push_back(std::move(socket));
          others_.push_back(std::move(first_bytes));
        },
        /*tls=*/nullptr, kMost);
  }
  UniqueFd ConnectFrom(const char* host) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    inet_pton(AF_INET, host, &address.sin_addr);
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(bind(socket.get(), reinterpret_cast<sockaddr*>(&address),
                   sizeof(address)),
              0);
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    const std::string port =
        door_->address().substr(door_->address().rfind(':') + 1);
    address.sin_port = htons(static_cast<uint16_t>(std::stoi(port)));
    EXPECT_EQ(connect(socket.get(), reinterpret_cast<sockaddr*>(&address),
                      sizeof(address)),
              0);
    return socket;
  }
  // The far end has hung up.
  static bool IsRefused(const UniqueFd& socket) {
    char byte;
    return recv(socket.get(), &byte, 1, 0) <= 0;
  }
  void ExpectFull(const char* host) {
    EXPECT_TRUE(IsRefused(ConnectFrom(host)));
    EXPECT_TRUE(IsServed(ConnectFrom("127.0.0.2")));
  }
  // Once what is over is forgotten.
  void ExpectRoom(const char* host) {
    EXPECT_TRUE(Eventually([&] {
      const UniqueFd socket = ConnectFrom(host);
      OutputQueue output;
      SingleCall::Client("host", "/method")->Produce(output);
      return output.SendTo(socket.get(), 0).ok() && !IsRefused(socket);
    }));
  }

  std::vector<UniqueFd> given_ ABSL_GUARDED_BY(mu_);
};

TEST_F(PageDoorQuotaTest, ConnectionsThatAreServedCount) {
  std::vector<UniqueFd> served;
  for (size_t i = 0; i < kMost; ++i) {
    served.push_back(ConnectFrom("127.0.0.1"));
    EXPECT_TRUE(IsServed(served.back()));
  }
  ExpectFull("127.0.0.1");
  served.clear();
  ExpectRoom("127.0.0.1");
}

TEST_F(PageDoorQuotaTest, ConnectionsThatSayNothingCount) {
  std::vector<UniqueFd> silent;
  for (size_t i = 0; i < kMost; ++i) silent.push_back(ConnectFrom("127.0.0.1"));
  ExpectFull("127.0.0.1");
  silent.clear();
  ExpectRoom("127.0.0.1");
}

TEST_F(PageDoorQuotaTest, ConnectionsThatOthersHaveCountToTheirEnd) {
  std::vector<UniqueFd> given;
  for (size_t i = 0; i < kMost; ++i) {
    given.push_back(ConnectFrom("127.0.0.1"));
    Send(given.back(), "GET / HTTP/1.1\r\n");
  }
  Others(kMost);
  ExpectFull("127.0.0.1");
  {
    // As gRPC ends one.
    absl::MutexLock lock(&mu_);
    shutdown(given_.back().get(), SHUT_RDWR);
    given_.pop_back();
  }
  ExpectRoom("127.0.0.1");
  given.clear();
  ExpectRoom("127.0.0.1");
}

TEST_F(PageDoorTest, StopLeavesNothingBehind) {
  UniqueFd silent = Connect();
  UniqueFd begun = Connect();
  EXPECT_TRUE(IsServed(begun));
  door_->Stop(absl::InfiniteDuration());
  door_->Stop(absl::InfiniteDuration());
  for (const UniqueFd& socket : {std::move(silent), std::move(begun)}) {
    char bytes[4096];
    ssize_t n;
    while ((n = recv(socket.get(), bytes, sizeof(bytes), 0)) > 0) {
    }
    EXPECT_LE(n, 0);
  }
  EXPECT_THAT(ConnectTo(door_->address(), absl::Seconds(1), never_.get()),
              StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(PageDoorTest, GoesOnWhenDescriptorsAreShortNoMore) {
  UniqueFd waiting = Connect();
  EXPECT_TRUE(IsServed(waiting));
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  // Every number below the limit is taken: the client's end gets the last one.
  const UniqueFd probe(dup(0));
  rlimit few = before;
  few.rlim_cur = static_cast<rlim_t>(probe.get()) + 2;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  UniqueFd late = Connect();
  EXPECT_LT(dup(0), 0);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(IsServed(late));
}

}  // namespace
}  // namespace pagelift
