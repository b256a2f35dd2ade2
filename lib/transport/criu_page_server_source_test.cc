#include "lib/transport/criu_page_server_source.h"

#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/source/testing/page_pattern.h"
#include "lib/transport/criu_request_queue.h"
#include "lib/transport/testing/criu_fake_page_server.h"
#include "lib/transport/testing/waiting_sink.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using End = CriuFakePageServer::End;
using Request = CriuFakePageServer::Request;

constexpr absl::Duration kLongWhile = absl::Seconds(60);
constexpr uint64_t kMost = CriuRequestQueue::kMostPages.raw();
constexpr uint64_t kWindow = CriuRequestQueue::kPrefetchWindow.raw();

PageRange Pages(uint64_t first, uint64_t count) {
  return {PageId(first), PageCount(count)};
}

ImageRange Image(uint64_t first, uint64_t count) {
  return {ImagePage(first), PageCount(count)};
}

// Task 7 has image pages 0 to 999 at page 5000 and 1000 to 1009 at page 9000;
// task 8 has 1010 to 1019; nobody has 1020 to 1029.
ImageDescription TwoTasks() {
  ImageDescription image;
  image.content_id = "c0ffee";
  image.page_count = PageCount(1030);
  image.tasks.resize(2);
  image.tasks[0].pid = 7;
  image.tasks[0].lazy_regions = {Pages(5000, 2000), Pages(9000, 10)};
  image.tasks[0].extents = {{Pages(5000, 1000), ImagePage(0)},
                            {Pages(9000, 10), ImagePage(1000)}};
  image.tasks[1].pid = 8;
  image.tasks[1].lazy_regions = {Pages(5000, 20)};
  image.tasks[1].extents = {{Pages(5004, 10), ImagePage(1010)}};
  return image;
}

class CriuPageServerSourceTest : public ::testing::Test {
 protected:
  CriuPageServerSourceTest() {
    auto source = CriuPageServerSource::Open("127.0.0.1", server_.port(),
                                             TwoTasks(), kLongWhile);
    EXPECT_THAT(source, IsOk());
    source_ = *std::move(source);
    server_.Accept();
    source_->Start(&sink_);
  }

  // Receives the next message, which must be a GET of these pages.
  Request ExpectGet(uint64_t pid, PageRange pages) {
    std::optional<Request> request = server_.Receive();
    EXPECT_TRUE(request.has_value()) << "the connection ended";
    if (!request.has_value()) return Request();
    EXPECT_EQ(request->command, CriuFakePageServer::kGet);
    EXPECT_EQ(request->id, pid);
    EXPECT_EQ(request->address, AddressOf(pages.first));
    EXPECT_EQ(request->pages, pages.count.raw());
    return *request;
  }

  // Each page of `range` was answered once, with what it is or with `code`.
  void ExpectAnswered(ImageRange range, absl::StatusCode code) {
    const std::map<uint64_t, WaitingSink::Answer> answers = sink_.answers();
    for (uint64_t i = 0; i < range.count.raw(); ++i) {
      const ImagePage page = range.first + PageCount(i);
      auto answer = answers.find(page.raw());
      ASSERT_NE(answer, answers.end()) << page;
      EXPECT_EQ(answer->second.status.code(), code) << page;
      EXPECT_EQ(answer->second.times, 1) << page;
      if (code != absl::StatusCode::kOk) continue;
      EXPECT_TRUE(HoldsPattern(answer->second.bytes.data(), page)) << page;
    }
  }
  void ExpectDelivered(ImageRange range) {
    ExpectAnswered(range, absl::StatusCode::kOk);
  }
  void ExpectUnavailable(ImageRange range) {
    ExpectAnswered(range, absl::StatusCode::kUnavailable);
  }

  CriuFakePageServer server_{TwoTasks()};
  WaitingSink sink_;
  std::unique_ptr<CriuPageServerSource> source_;
};

// --- Opening -----------------------------------------------------------------

TEST(CriuPageServerSourceOpenTest, DoesNotConnectWithABrokenDescription) {
  CriuFakePageServer server{TwoTasks()};
  ImageDescription image = TwoTasks();
  image.page_count = PageCount(3);
  EXPECT_THAT(
      CriuPageServerSource::Open("127.0.0.1", server.port(), image, kLongWhile),
      Not(IsOk()));
}

// --- Fetching ----------------------------------------------------------------

TEST_F(CriuPageServerSourceTest, AsksByTaskAndAddress) {
  source_->Fetch(Image(1012, 1), Urgency::kDemand);
  Request request = ExpectGet(8, Pages(5006, 1));
  EXPECT_TRUE(server_.Reply(request));
  ASSERT_TRUE(sink_.WaitForPages(1));
  ExpectDelivered(Image(1012, 1));
  EXPECT_EQ(source_->bytes_received(), kPageSize);
  EXPECT_THAT(source_->trouble(), IsEmpty());
}

TEST_F(CriuPageServerSourceTest, NeverAsksForPagesOfNobody) {
  source_->Fetch(Image(995, 35), Urgency::kPrefetch);
  std::thread server([this] {
    // Replies to nothing but GETs of pages that are to be served.
    std::optional<Request> other = server_.ReplyUntilOther();
    ASSERT_TRUE(other.has_value());
    EXPECT_EQ(other->command, CriuFakePageServer::kClose);
    server_.SendStatus(0);
  });
  ASSERT_TRUE(sink_.WaitForPages(35));
  ExpectDelivered(Image(995, 25));
  ExpectAnswered(Image(1020, 10), absl::StatusCode::kDataLoss);
  EXPECT_THAT(source_->Finish(), IsOk());
  server.join();
}

TEST_F(CriuPageServerSourceTest, PipelinesDemandAndMatchesRepliesInOrder) {
  for (uint64_t page : {3, 1, 2}) {
    source_->Fetch(Image(page, 1), Urgency::kDemand);
  }
  const Request third = ExpectGet(7, Pages(5003, 1));
  const Request first = ExpectGet(7, Pages(5001, 1));
  const Request second = ExpectGet(7, Pages(5002, 1));
  EXPECT_TRUE(server_.Reply(third) && server_.Reply(first) &&
              server_.Reply(second));
  ASSERT_TRUE(sink_.WaitForPages(3));
  ExpectDelivered(Image(1, 3));
}

TEST_F(CriuPageServerSourceTest, AsksAgainForTheRestOfAShortReply) {
  source_->Fetch(Image(100, 5), Urgency::kDemand);
  EXPECT_TRUE(server_.Reply(ExpectGet(7, Pages(5100, 5)), 2));
  EXPECT_TRUE(server_.Reply(ExpectGet(7, Pages(5102, 3)), 1));
  EXPECT_TRUE(server_.Reply(ExpectGet(7, Pages(5103, 2))));
  ASSERT_TRUE(sink_.WaitForPages(5));
  ExpectDelivered(Image(100, 5));
}

TEST_F(CriuPageServerSourceTest, DemandOvertakesPrefetchThatWaits) {
  source_->Fetch(Image(0, 1000), Urgency::kPrefetch);
  std::vector<Request> prefetch;
  for (uint64_t page = 0; page < kWindow; page += kMost) {
    prefetch.push_back(ExpectGet(7, Pages(5000 + page, kMost)));
  }
  source_->Fetch(Image(1010, 1), Urgency::kDemand);
  const Request demand = ExpectGet(8, Pages(5004, 1));
  EXPECT_FALSE(server_.HasInput()) << "more prefetch than the window";
  for (const Request& request : prefetch) EXPECT_TRUE(server_.Reply(request));
  EXPECT_TRUE(server_.Reply(demand));
  ASSERT_TRUE(sink_.WaitForPages(kWindow + 1));
  ExpectDelivered(Image(1010, 1));
  // And the prefetch goes on.
  ExpectGet(7, Pages(5000 + kWindow, kMost));
}

TEST_F(CriuPageServerSourceTest, TheWholeImageArrivesByteForByte) {
  std::thread server([this] {
    // CRIU's extents end where they like.
    std::optional<Request> other = server_.ReplyUntilOther(/*most=*/27);
    ASSERT_TRUE(other.has_value());
    EXPECT_EQ(other->command, CriuFakePageServer::kClose);
    server_.SendStatus(0);
  });
  std::vector<std::thread> callers;
  for (uint64_t caller = 0; caller < 2; ++caller) {
    callers.emplace_back([this, caller] {
      for (uint64_t page = caller; page < 510; page += 2) {
        source_->Fetch(Image(page, 1), Urgency::kDemand);
      }
      source_->Fetch(Image(510 + 255 * caller, 255), Urgency::kPrefetch);
    });
  }
  for (std::thread& caller : callers) caller.join();
  ASSERT_TRUE(sink_.WaitForPages(1020));
  ExpectDelivered(Image(0, 1020));
  EXPECT_EQ(source_->bytes_received(), 1020 * kPageSize);
  EXPECT_THAT(source_->Finish(), IsOk());
  server.join();
}

TEST_F(CriuPageServerSourceTest, FetchDoesNotWaitForAServerThatDoesNotRead) {
  // Far more requests than both sockets' buffers hold.
  constexpr uint64_t kRequests = 200000;
  for (uint64_t i = 0; i < kRequests; ++i) {
    source_->Fetch(Image(i % 1000, 1), Urgency::kDemand);
  }
  std::deque<Request> unanswered;
  for (uint64_t i = 0; i < kRequests; ++i) {
    // Answers bring the requests that found no room.
    while (!server_.HasMessage() && !unanswered.empty()) {
      ASSERT_TRUE(server_.Reply(unanswered.front()));
      unanswered.pop_front();
    }
    std::optional<Request> request = server_.Receive();
    ASSERT_TRUE(request.has_value());
    ASSERT_EQ(request->address, AddressOf(PageId(5000 + i % 1000))) << i;
    unanswered.push_back(*request);
  }
  EXPECT_LT(unanswered.size(), kRequests) << "there was room for all";
}

// --- A source that goes away -------------------------------------------------

TEST_F(CriuPageServerSourceTest, ReportsEverythingOnceIfTheServerEnds) {
  source_->Fetch(Image(0, 100), Urgency::kPrefetch);
  source_->Fetch(Image(1010, 1), Urgency::kDemand);
  ASSERT_TRUE(server_.Receive().has_value());
  server_.EndInOrder();
  ASSERT_TRUE(sink_.WaitForPages(101));
  ExpectUnavailable(Image(0, 100));
  ExpectUnavailable(Image(1010, 1));
  EXPECT_THAT(source_->trouble(), HasSubstr("is gone"));
}

TEST_F(CriuPageServerSourceTest, ReportsEverythingOnceIfTheServerResets) {
  source_->Fetch(Image(0, 100), Urgency::kPrefetch);
  ASSERT_TRUE(server_.Reply(ExpectGet(7, Pages(5000, kMost))));
  ASSERT_TRUE(sink_.WaitForPages(kMost));
  server_.Reset();
  ASSERT_TRUE(sink_.WaitForPages(100));
  ExpectDelivered(Image(0, kMost));
  ExpectUnavailable(Image(kMost, 100 - kMost));
  EXPECT_THAT(source_->trouble(), HasSubstr("is gone"));
}

TEST_F(CriuPageServerSourceTest, PagesThatCameInPartAreNotDelivered) {
  source_->Fetch(Image(0, 2), Urgency::kDemand);
  ASSERT_TRUE(server_.Receive().has_value());
  std::vector<std::byte> part(32 + kPageSize + 100);
  const int header[] = {6, 0, 4, 0, 0,    0,    0, 0, 2, 0, 0, 0, 0,
                        0, 0, 0, 0, 0x80, 0x38, 1, 0, 0, 0, 0, 7};
  for (size_t i = 0; i < std::size(header); ++i) {
    part[i] = static_cast<std::byte>(header[i]);
  }
  server_.Send(part);
  server_.EndInOrder();
  ASSERT_TRUE(sink_.WaitForPages(2));
  ExpectUnavailable(Image(0, 2));
  EXPECT_THAT(source_->trouble(), HasSubstr("mid-page"));
}

TEST_F(CriuPageServerSourceTest, DoesNotTrustGarbage) {
  source_->Fetch(Image(0, 2), Urgency::kDemand);
  const std::string garbage =
      "HTTP/1.1 400 Bad Request\r\nServer: not CRIU\r\n";
  server_.Send(
      {reinterpret_cast<const std::byte*>(garbage.data()), garbage.size()});
  ASSERT_TRUE(sink_.WaitForPages(2));
  ExpectUnavailable(Image(0, 2));
  EXPECT_THAT(source_->trouble(), HasSubstr("is not that of pages"));
}

TEST_F(CriuPageServerSourceTest, RefusesPagesThatWereNotAskedFor) {
  source_->Fetch(Image(0, 2), Urgency::kDemand);
  Request request = ExpectGet(7, Pages(5000, 2));
  request.address += kPageSize;
  request.pages = 1;
  ASSERT_TRUE(server_.Reply(request));
  ASSERT_TRUE(sink_.WaitForPages(2));
  ExpectUnavailable(Image(0, 2));
}

TEST_F(CriuPageServerSourceTest, OfALostSourcePagesStayOutstanding) {
  source_->Fetch(Image(0, 1), Urgency::kDemand);
  ASSERT_TRUE(server_.Receive().has_value());
  server_.Reset();
  ASSERT_TRUE(sink_.WaitForPages(1));
  const size_t before = sink_.batches();
  source_->Fetch(Image(0, 1), Urgency::kDemand);
  source_->Stop();
  EXPECT_EQ(sink_.batches(), before);
}

// --- The end -----------------------------------------------------------------

TEST_F(CriuPageServerSourceTest, FinishClosesInOrder) {
  std::thread server([this] {
    std::optional<Request> close = server_.Receive();
    ASSERT_TRUE(close.has_value());
    EXPECT_EQ(close->command, CriuFakePageServer::kClose);
    EXPECT_FALSE(server_.HasInput()) << "it ends before the status";
    server_.SendStatus(0);
    EXPECT_EQ(server_.WaitForEnd(), End::kInOrder);
  });
  EXPECT_THAT(source_->Finish(), IsOk());
  EXPECT_THAT(source_->Finish(), IsOk());
  server.join();
  source_->Abort();
  EXPECT_THAT(source_->trouble(), IsEmpty());
}

TEST_F(CriuPageServerSourceTest, FinishReadsWhatIsOnItsWay) {
  source_->Fetch(Image(0, 1000), Urgency::kPrefetch);
  std::optional<Request> first = server_.Receive();
  ASSERT_TRUE(first.has_value());
  source_->Stop();
  const size_t before = sink_.batches();
  std::thread server([this, first] {
    ASSERT_TRUE(server_.Reply(*first, 3));  // The rest is not asked for.
    std::optional<Request> close = server_.ReplyUntilOther();
    ASSERT_TRUE(close.has_value());
    EXPECT_EQ(close->command, CriuFakePageServer::kClose);
    server_.SendStatus(0);
    EXPECT_EQ(server_.WaitForEnd(), End::kInOrder);
  });
  EXPECT_THAT(source_->Finish(), IsOk());
  server.join();
  EXPECT_EQ(sink_.batches(), before);
}

TEST_F(CriuPageServerSourceTest, FinishReportsABadStatus) {
  std::thread server([this] {
    ASSERT_TRUE(server_.Receive().has_value());
    server_.SendStatus(-1);
    EXPECT_EQ(server_.WaitForEnd(), End::kInOrder);
  });
  EXPECT_THAT(source_->Finish(),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("status -1")));
  server.join();
}

TEST_F(CriuPageServerSourceTest, FinishGivesUpInOrderOnASilentServer) {
  EXPECT_THAT(source_->Finish(absl::Milliseconds(20)),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  ASSERT_TRUE(server_.Receive().has_value());
  EXPECT_EQ(server_.WaitForEnd(), End::kInOrder);
}

TEST_F(CriuPageServerSourceTest, FinishSaysThatTheSourceWasLost) {
  source_->Fetch(Image(0, 1), Urgency::kDemand);
  server_.Reset();
  ASSERT_TRUE(sink_.WaitForPages(1));
  EXPECT_THAT(source_->Finish(), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(CriuPageServerSourceTest, StopAloneLeavesTheConnection) {
  source_->Fetch(Image(0, 1), Urgency::kDemand);
  const Request request = ExpectGet(7, Pages(5000, 1));
  source_->Stop();
  source_->Stop();
  source_->Fetch(Image(1, 1), Urgency::kDemand);
  ASSERT_TRUE(server_.Reply(request));
  EXPECT_FALSE(server_.HasInput());
  EXPECT_EQ(sink_.batches(), 0u);
}

TEST_F(CriuPageServerSourceTest, TheDestructorAloneResets) {
  source_->Fetch(Image(0, 1), Urgency::kDemand);
  ASSERT_TRUE(server_.Reply(ExpectGet(7, Pages(5000, 1))));
  ASSERT_TRUE(sink_.WaitForPages(1));
  source_.reset();
  EXPECT_EQ(server_.WaitForEnd(), End::kReset);
}

TEST_F(CriuPageServerSourceTest, AbortResetsAlsoAfterStop) {
  source_->Stop();
  source_->Abort();
  source_->Abort();
  EXPECT_EQ(server_.WaitForEnd(), End::kReset);
  EXPECT_THAT(source_->Finish(),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace pagelift
