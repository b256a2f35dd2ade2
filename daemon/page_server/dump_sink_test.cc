#include "daemon/page_server/dump_sink.h"

#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/eventually.h"
#include "lib/base/testing/soon.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/base/unique_fd.h"
#include "lib/image/image_directory.h"
#include "lib/image/staged_directory.h"
#include "lib/transport/criu_message.h"
#include "lib/transport/socket_address.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr uint64_t kTask7 = 7 << 8 | 1;

// CRIU's end of a connection.
class Dump {
 public:
  explicit Dump(const DumpSink& sink) {
    auto socket = ConnectTo(sink.address(), kSoon, /*cancel=*/-1);
    EXPECT_OK(socket);
    socket_ = *std::move(socket);
  }

  void Send(const CriuFields& fields) {
    const CriuMessage message = EncodeCriuFields(fields);
    // Whether anybody is there shows by the answers.
    (void)send(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL);
  }
  void SendPage(uint64_t address) {
    Send({6, 6, 1, address, kTask7});
    const std::string page(4096, 'x');
    (void)send(socket_.get(), page.data(), page.size(), MSG_NOSIGNAL);
  }
  // Opens a task, and returns when it is open.
  void Open() {
    Send({4, 0, 0, 0, kTask7});
    EXPECT_EQ(Answer(1), std::string(1, '\0'));
  }
  std::string Finish() {
    Send({0x1023, 0, 0, 0, 0});
    return Answer(4);
  }
  // Less if the connection ends.
  std::string Answer(size_t size) {
    std::string bytes(size, '?');
    const ssize_t came = recv(socket_.get(), bytes.data(), size, MSG_WAITALL);
    bytes.resize(came < 0 ? 0 : static_cast<size_t>(came));
    return bytes;
  }
  void Break() { socket_.reset(); }

 private:
  UniqueFd socket_;
};

class DumpSinkTest : public ::testing::Test {
 protected:
  DumpSinkTest() { Start(); }

  void Start() {
    auto sink = DumpSink::Start(Options());
    ASSERT_OK(sink);
    sink_ = *std::move(sink);
  }

  DumpSink::Options Options() {
    DumpSink::Options options;
    options.listen = "127.0.0.1:0";
    options.directory = dir_.path();
    return options;
  }

  std::vector<std::string> Names() {
    return *ImageDirectory::Open(dir_.path())->List();
  }

  TempDir dir_;
  std::unique_ptr<DumpSink> sink_;
};

TEST_F(DumpSinkTest, ADumpAppearsWhenItIsThere) {
  Dump dump(*sink_);
  EXPECT_THAT(Names(), IsEmpty());
  dump.Open();
  EXPECT_THAT(Names(), ElementsAre(StartsWith(".partial-dump-")));
  dump.SendPage(0x1000);
  EXPECT_EQ(dump.Finish(), std::string(4, '\0'));
  EXPECT_THAT(Names(), ElementsAre(StartsWith("dump-")));
  EXPECT_THAT(ImageDirectory::Open(dir_.Join(Names()[0]))->List(),
              IsOkAndHolds(ElementsAre("pagemap-7.img", "pages-65537.img")));
}

TEST_F(DumpSinkTest, SeveralMayComeAtOnce) {
  Dump first(*sink_);
  Dump second(*sink_);
  first.Open();
  second.Open();
  first.SendPage(0x1000);
  second.SendPage(0x1000);
  EXPECT_EQ(second.Finish(), std::string(4, '\0'));
  EXPECT_EQ(first.Finish(), std::string(4, '\0'));
  EXPECT_THAT(Names(), ElementsAre(StartsWith("dump-"), StartsWith("dump-")));
}

TEST_F(DumpSinkTest, NothingIsLeftOfOneThatBreaksOff) {
  Dump dump(*sink_);
  dump.Open();
  dump.SendPage(0x1000);
  dump.Break();
  EXPECT_TRUE(Eventually([&] { return Names().empty(); }));
}

TEST_F(DumpSinkTest, NothingIsLeftOfOneThatMakesNoSense) {
  Dump dump(*sink_);
  dump.Open();
  dump.SendPage(0x2000);
  dump.SendPage(0x1000);
  EXPECT_EQ(dump.Answer(1), "");
  EXPECT_TRUE(Eventually([&] { return Names().empty(); }));
}

TEST_F(DumpSinkTest, ADumpWithoutPagesLeavesNothing) {
  EXPECT_EQ(Dump(*sink_).Finish(), std::string(4, '\0'));
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(DumpSinkTest, StoppingBreaksOffWhatIsNotThere) {
  Dump dump(*sink_);
  dump.Open();
  sink_->Stop(absl::ZeroDuration());
  EXPECT_EQ(dump.Answer(1), "");
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(DumpSinkTest, WhatADeadOneHasLeftIsRemoved) {
  sink_.reset();
  auto left = StagedDirectory::Make(dir_.Join("dump-1"));
  ASSERT_OK(left);
  std::filesystem::create_directory(dir_.Join("dump-2"));
  Start();
  EXPECT_THAT(Names(), ElementsAre("dump-2"));
}

TEST_F(DumpSinkTest, TwoDoNotShareADirectory) {
  EXPECT_THAT(
      DumpSink::Start(Options()).status(),
      StatusIs(absl::StatusCode::kUnavailable, HasSubstr("another sink")));
}

TEST_F(DumpSinkTest, AHostHasSoManyAndNoMore) {
  std::vector<std::unique_ptr<Dump>> dumps;
  for (size_t i = 0; i < DumpSink::kMostOfAHost; ++i) {
    dumps.push_back(std::make_unique<Dump>(*sink_));
    dumps.back()->Open();
  }
  EXPECT_EQ(Dump(*sink_).Answer(1), "");
  EXPECT_THAT(Names(), SizeIs(DumpSink::kMostOfAHost));
  dumps.pop_back();
  EXPECT_TRUE(Eventually([&] {
    Dump another(*sink_);
    another.Send({5, 0, 0, 0, kTask7});
    return another.Answer(4).size() == 4;
  }));
}

}  // namespace
}  // namespace pagelift
