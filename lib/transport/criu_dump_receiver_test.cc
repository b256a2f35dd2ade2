#include "lib/transport/criu_dump_receiver.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <future>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/unique_fd.h"
#include "lib/transport/criu_message.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint64_t kTask7 = 7 << 8 | 1;

// Notes what it is told.
class NotingWriter : public CriuDumpWriter {
 public:
  absl::Status Open(const CriuObject& object) override {
    told.push_back(absl::StrCat("open ", object.id));
    return absl::OkStatus();
  }
  absl::Status Add(PageRange pages, bool lazy) override {
    told.push_back(absl::StrCat(lazy ? "lazy " : "eager ", pages.first.raw(),
                                "+", pages.count.raw()));
    return write_error;
  }
  absl::Status Write(absl::Span<const std::byte> contents) override {
    bytes += contents.size();
    sum = std::count(contents.begin(), contents.end(), std::byte{'x'}) + sum;
    return absl::OkStatus();
  }
  absl::Status Finish() override {
    told.push_back("finish");
    return finish_error;
  }

  std::vector<std::string> told;
  size_t bytes = 0;
  size_t sum = 0;
  absl::Status write_error;
  absl::Status finish_error;
};

class CriuDumpReceiverTest : public ::testing::Test {
 protected:
  CriuDumpReceiverTest() : cancel_(eventfd(0, EFD_CLOEXEC)) {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    socket_ = StreamSocket(UniqueFd(ends[0]));
    criu_.reset(ends[1]);
  }

  // On a thread, as long as the test talks to it.
  std::future<absl::Status> Receive() {
    return std::async(std::launch::async, [this] {
      absl::Status status =
          ReceiveCriuDump(socket_, patience_, cancel_.get(), writer_);
      socket_ = StreamSocket();
      return status;
    });
  }

  void Send(const void* bytes, size_t size) {
    EXPECT_EQ(send(criu_.get(), bytes, size, MSG_NOSIGNAL),
              static_cast<ssize_t>(size));
  }
  void Send(const CriuFields& fields) {
    const CriuMessage message = EncodeCriuFields(fields);
    Send(message.data(), message.size());
  }
  void SendPages(const CriuFields& fields) {
    Send(fields);
    const std::string contents(fields.pages * 4096, 'x');
    Send(contents.data(), contents.size());
  }
  // What came back.
  std::string Answers() {
    std::string all;
    char bytes[64];
    ssize_t came;
    while ((came = read(criu_.get(), bytes, sizeof(bytes))) > 0) {
      all.append(bytes, static_cast<size_t>(came));
    }
    return all;
  }

  StreamSocket socket_;
  UniqueFd criu_;
  UniqueFd cancel_;
  CriuDumpPatience patience_;
  NotingWriter writer_;
};

TEST_F(CriuDumpReceiverTest, ReceivesADump) {
  auto received = Receive();
  Send({5, 0, 0, 0, kTask7});
  Send({4, 0, 0, 0, kTask7});
  SendPages({6, 4, 1, 0x1000, kTask7});
  SendPages({6, 6, 600, 0x10000, kTask7});
  Send({0x1023, 0, 0, 0, 0});
  EXPECT_OK(received.get());
  EXPECT_EQ(Answers(), std::string(4 + 1 + 4, '\0'));
  EXPECT_THAT(writer_.told,
              ElementsAre("open 7", "eager 1+1", "lazy 16+600", "finish"));
  EXPECT_EQ(writer_.bytes, 601u * 4096);
  EXPECT_EQ(writer_.sum, writer_.bytes);
}

TEST_F(CriuDumpReceiverTest, TellsThatItCouldNotBeFinished) {
  writer_.finish_error = absl::ResourceExhaustedError("disk full");
  auto received = Receive();
  Send({0x1024, 0, 0, 0, 0});
  EXPECT_THAT(received.get(), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(Answers(), std::string(4, '\xff'));
}

TEST_F(CriuDumpReceiverTest, BreaksOffWhenItCannotBeWritten) {
  writer_.write_error = absl::ResourceExhaustedError("disk full");
  auto received = Receive();
  Send({4, 0, 0, 0, kTask7});
  Send({6, 4, 1, 0x1000, kTask7});
  EXPECT_THAT(received.get(), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(Answers(), std::string(1, '\0'));
}

TEST_F(CriuDumpReceiverTest, ADumpThatBreaksOffIsNotFinished) {
  auto received = Receive();
  Send({4, 0, 0, 0, kTask7});
  char answer;
  ASSERT_EQ(read(criu_.get(), &answer, 1), 1);
  Send({6, 4, 2, 0x1000, kTask7});
  Send("half a page", 11);
  criu_.reset();
  EXPECT_THAT(received.get(), StatusIs(absl::StatusCode::kUnavailable,
                                       HasSubstr("in the midst")));
  EXPECT_THAT(writer_.told, ElementsAre("open 7", "eager 1+2"));
}

TEST_F(CriuDumpReceiverTest, AScannerSaysNothing) {
  auto received = Receive();
  criu_.reset();
  EXPECT_THAT(received.get(), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(writer_.told, IsEmpty());
}

TEST_F(CriuDumpReceiverTest, OthersAreToldApart) {
  auto received = Receive();
  const std::string request =
      "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n";
  Send(request.data(), request.size());
  EXPECT_THAT(received.get(), StatusIs(absl::StatusCode::kInvalidArgument,
                                       HasSubstr("none of a dump")));
}

TEST_F(CriuDumpReceiverTest, OneThatWantsTlsIsTold) {
  auto received = Receive();
  const std::string hello = std::string("\x16\x03\x01\x01\x00\x01", 6);
  Send((hello + std::string(26, 'x')).data(), 32);
  EXPECT_THAT(received.get(), StatusIs(absl::StatusCode::kInvalidArgument,
                                       HasSubstr("wants TLS")));
}

TEST_F(CriuDumpReceiverTest, PagesOfWhatIsNotOpenAreRefused) {
  auto received = Receive();
  Send({4, 0, 0, 0, kTask7});
  Send({6, 4, 1, 0x1000, 8 << 8 | 1});
  EXPECT_THAT(received.get(), StatusIs(absl::StatusCode::kInvalidArgument,
                                       HasSubstr("not open")));
}

TEST_F(CriuDumpReceiverTest, PatienceEnds) {
  patience_.first = absl::Milliseconds(1);
  EXPECT_THAT(Receive().get(), StatusIs(absl::StatusCode::kDeadlineExceeded));
}

TEST_F(CriuDumpReceiverTest, CanBeCancelled) {
  auto received = Receive();
  Send({4, 0, 0, 0, kTask7});
  const uint64_t one = 1;
  ASSERT_EQ(write(cancel_.get(), &one, sizeof(one)), 8);
  EXPECT_THAT(received.get(), StatusIs(absl::StatusCode::kCancelled));
}

TEST_F(CriuDumpReceiverTest, WhoReadsNoAnswersIsSentAway) {
  auto received = Receive();
  const CriuMessage ask = EncodeCriuFields({5, 0, 0, 0, kTask7});
  while (send(criu_.get(), ask.data(), ask.size(), MSG_NOSIGNAL) > 0) {
  }
  EXPECT_THAT(received.get(), StatusIs(absl::StatusCode::kUnavailable,
                                       HasSubstr("read its answers")));
}

}  // namespace
}  // namespace pagelift
