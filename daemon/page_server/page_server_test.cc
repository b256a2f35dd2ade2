#include "daemon/page_server/page_server.h"

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/source/testing/fake_page_store.h"
#include "lib/source/testing/page_pattern.h"
#include "lib/transport/remote_source.h"
#include "lib/transport/testing/test_page_server.h"
#include "lib/transport/testing/waiting_sink.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class PageServerTest : public ::testing::Test {
 protected:
  PageServerTest() {
    catalog_.Put("a", std::make_shared<FakePageStore>(
                          OneTaskImage(1, {PageId(0), PageCount(8)})));
  }

  FakeCatalog catalog_;
};

TEST_F(PageServerTest, ServesOnThePortThatItChose) {
  ASSERT_OK_AND_ASSIGN(auto server, PageServer::Start("127.0.0.1:0", catalog_));
  EXPECT_THAT(server->address(), Not(HasSubstr(":0")));
  ASSERT_OK_AND_ASSIGN(auto source, RemoteSource::Open(server->address(), "a",
                                                       absl::Seconds(30)));
  WaitingSink sink;
  source->Start(&sink);
  source->Fetch({ImagePage(0), PageCount(8)}, Urgency::kDemand);
  EXPECT_TRUE(sink.WaitForPages(8));
  source->Stop();
}

TEST_F(PageServerTest, AnAddressThatIsTakenIsNamed) {
  ASSERT_OK_AND_ASSIGN(auto server, PageServer::Start("127.0.0.1:0", catalog_));
  EXPECT_THAT(
      PageServer::Start(server->address(), catalog_).status().ToString(),
      HasSubstr(server->address() + ": Address already in use"));
  TempDir dir;
  const std::string address = "unix:" + dir.Join("s");
  ASSERT_OK_AND_ASSIGN(server, PageServer::Start(address, catalog_));
  EXPECT_THAT(PageServer::Start(address, catalog_),
              StatusIs(absl::StatusCode::kAlreadyExists));
}

TEST_F(PageServerTest, StopDoesNotWaitForIdleStreams) {
  ASSERT_OK_AND_ASSIGN(auto server, PageServer::Start("127.0.0.1:0", catalog_));
  ASSERT_OK_AND_ASSIGN(auto source, RemoteSource::Open(server->address(), "a",
                                                       absl::Seconds(30)));
  WaitingSink sink;
  source->Start(&sink);
  source->Fetch({ImagePage(0), PageCount(4)}, Urgency::kDemand);
  source->Fetch({ImagePage(4), PageCount(4)}, Urgency::kPrefetch);
  ASSERT_TRUE(sink.WaitForPages(8));
  // For ever, if it did.
  server->Stop(absl::InfiniteDuration());
  server->Stop(absl::InfiniteDuration());
  source->Stop();
}

}  // namespace
}  // namespace pagelift
