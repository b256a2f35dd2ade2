#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/source/testing/fake_page_store.h"
#include "lib/transport/remote_source.h"
#include "lib/transport/testing/scripted_page_server.h"
#include "lib/transport/testing/test_page_server.h"
#include "lib/transport/testing/waiting_sink.h"

// RemoteSource against servers that take requests, answer pings, and leave
// requests without an answer.

namespace pagelift {
namespace {

using ::testing::HasSubstr;

constexpr char kName[] = "redis";
constexpr absl::Duration kLong = absl::Seconds(60);

ImageRange Pages(uint64_t first, uint64_t count) {
  return {ImagePage(first), PageCount(count)};
}

class SilentServerTest : public ::testing::TestWithParam<Urgency> {
 protected:
  ~SilentServerTest() override {
    if (source_ != nullptr) source_->Stop();
  }

  void Serve(ScriptedService::Script script, absl::Duration patience) {
    service_ = std::make_unique<ScriptedService>(
        OneTaskImage(1, {PageId(0), PageCount(2048)}), std::move(script));
    server_ = std::make_unique<TestServer>(socket_, *service_);
    ASSERT_OK_AND_ASSIGN(
        source_, RemoteSource::Open(TestServer::AddressOf(socket_), kName,
                                    kLong, patience));
    source_->Start(&sink_);
  }

  void WaitForTrouble() {
    while (source_->trouble().empty()) absl::SleepFor(absl::Milliseconds(1));
  }

  TempDir dir_;
  const std::string socket_ = dir_.Join("s");
  WaitingSink sink_;
  std::unique_ptr<ScriptedService> service_;
  std::unique_ptr<TestServer> server_;
  std::unique_ptr<RemoteSource> source_;
};

TEST_P(SilentServerTest, IsReportedAndAskedAgainUntilItAnswers) {
  std::atomic<bool> answers{false};
  Serve(
      [&](int, const v1::PageRequest& request,
          ScriptedService::Stream& stream) {
        if (answers) stream.Write(GoodAnswer(request));
      },
      absl::Milliseconds(100));
  source_->Fetch(Pages(8, 4), GetParam());
  WaitForTrouble();
  EXPECT_THAT(source_->trouble(), HasSubstr("has not answered a request for"));
  // Taking the stream again is no answer.
  const uint64_t before = source_->reconnects();
  while (source_->reconnects() < before + 2) {
    EXPECT_NE(source_->trouble(), "");
    absl::SleepFor(absl::Milliseconds(1));
  }
  answers = true;
  ASSERT_TRUE(sink_.WaitForPages(4));
  ExpectPattern(sink_, Pages(8, 4));
  while (!source_->trouble().empty()) absl::SleepFor(absl::Milliseconds(1));
}

INSTANTIATE_TEST_SUITE_P(Urgencies, SilentServerTest,
                         ::testing::Values(Urgency::kDemand,
                                           Urgency::kPrefetch));

TEST_F(SilentServerTest, AnswersToOthersDoNotHideADemandThatIsForgotten) {
  std::atomic<bool> forgotten{false};
  Serve(
      [&](int, const v1::PageRequest& request,
          ScriptedService::Stream& stream) {
        if (request.first_page() == 7 && !forgotten.exchange(true)) return;
        stream.Write(GoodAnswer(request));
      },
      absl::Milliseconds(200));
  source_->Fetch(Pages(7, 1), Urgency::kDemand);
  for (uint64_t page = 100; sink_.answers().count(7) == 0; ++page) {
    ASSERT_LT(page, 2000u) << "never asked again";
    source_->Fetch(Pages(page, 1), Urgency::kDemand);
    absl::SleepFor(absl::Milliseconds(10));
  }
  ExpectPattern(sink_, Pages(7, 1));
}

TEST_F(SilentServerTest, AServerIsNotBlamedForWhatWeDoNotTakeYet) {
  constexpr absl::Duration kPatience = absl::Seconds(2);
  Serve(
      [](int, const v1::PageRequest& request, ScriptedService::Stream& stream) {
        stream.Write(GoodAnswer(request));
      },
      kPatience);
  sink_.Hold();
  source_->Fetch(Pages(0, 1), Urgency::kDemand);
  source_->Fetch(Pages(1, 1), Urgency::kDemand);
  ASSERT_TRUE(sink_.WaitUntilHeld());
  absl::SleepFor(kPatience * 2);
  sink_.Release();
  ASSERT_TRUE(sink_.WaitForPages(2));
  EXPECT_EQ(source_->reconnects(), 0u);
  EXPECT_EQ(service_->requests(), 2);
}

}  // namespace
}  // namespace pagelift
