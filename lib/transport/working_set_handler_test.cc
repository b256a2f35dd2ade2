#include "lib/transport/working_set_handler.h"

#include <filesystem>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/source/testing/fake_page_store.h"
#include "lib/source/testing/page_pattern.h"
#include "lib/transport/testing/test_page_server.h"
#include "lib/workingset/recording.h"

namespace pagelift {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint64_t kPages = 1024;

const ClientIdentity kClient({"CN:a"});

class WorkingSetHandlerTest : public ::testing::Test {
 protected:
  WorkingSetHandlerTest() {
    catalog_.Put("a", std::make_shared<FakePageStore>(image_));
    catalog_.Break("broken", absl::DataLossError("pages-1.img is too short"));
  }

  template <typename Request>
  Request Of(const std::string& image = "a") {
    Request request;
    request.set_image(image);
    request.set_content_id(image_.content_id);
    return request;
  }

  v1::AddRecordingRequest Adding(int64_t first, uint32_t count) {
    auto request = Of<v1::AddRecordingRequest>();
    request.mutable_recording()->add_steps(first);
    request.mutable_recording()->add_page_counts(count);
    return request;
  }

  v1::GetWorkingSetResponse Get() {
    v1::GetWorkingSetResponse response;
    EXPECT_OK(keeping_.Get(kClient, Of<v1::GetWorkingSetRequest>(), &response));
    return response;
  }

  const ImageDescription image_ =
      OneTaskImage(1, {PageId(0), PageCount(kPages)});
  FakeCatalog catalog_;
  const WorkingSetHandler keeping_{catalog_, KeepWorkingSets::kYes};
  const WorkingSetHandler reading_{catalog_, KeepWorkingSets::kNo};
};

TEST_F(WorkingSetHandlerTest, HandsOutWhatItKeptAsOneOrder) {
  EXPECT_OK(keeping_.Add(kClient, Adding(100, 10)));
  EXPECT_OK(keeping_.Add(kClient, Adding(105, 20)));
  const v1::GetWorkingSetResponse response = Get();
  EXPECT_THAT(response.order().steps(), ElementsAre(105, -25));
  EXPECT_THAT(response.order().page_counts(), ElementsAre(20, 5));
  EXPECT_EQ(response.shared_page_count(), 5u);
  ASSERT_THAT(response.recordings(), SizeIs(2));
  EXPECT_EQ(response.recordings(0).page_count(), 20u);
  EXPECT_GT(response.recordings(0).kept_unix_seconds(), 1700000000);
  EXPECT_THAT(response.ignored(), IsEmpty());
}

TEST_F(WorkingSetHandlerTest, WithoutRecordingsThereIsNoOrder) {
  EXPECT_THAT(Get().order().steps(), IsEmpty());
  EXPECT_THAT(Get().recordings(), IsEmpty());
}

TEST_F(WorkingSetHandlerTest, ReadsButWritesNothingUnlessItIsToKeep) {
  EXPECT_OK(keeping_.Add(kClient, Adding(100, 10)));
  EXPECT_THAT(reading_.Add(kClient, Adding(5, 1)),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("without --keep-working-sets")));
  EXPECT_THAT(reading_.Drop(kClient, Of<v1::DropWorkingSetRequest>()),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("without --keep-working-sets")));
  v1::GetWorkingSetResponse response;
  EXPECT_OK(reading_.Get(kClient, Of<v1::GetWorkingSetRequest>(), &response));
  EXPECT_THAT(response.recordings(), SizeIs(1));
}

TEST_F(WorkingSetHandlerTest, RefusesRecordingsThatAreNone) {
  EXPECT_THAT(
      keeping_.Add(kClient, Of<v1::AddRecordingRequest>()),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no pag")));
  EXPECT_THAT(keeping_.Add(kClient, Adding(1000, 25)),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("outside of an image of 1024 pages")));
  EXPECT_THAT(keeping_.Add(kClient, Adding(0, (1 << 20) + 1)),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(Get().recordings(), IsEmpty());
}

TEST_F(WorkingSetHandlerTest, RefusesUnknownBrokenAndOtherImages) {
  v1::GetWorkingSetResponse response;
  EXPECT_THAT(
      keeping_.Get(kClient, Of<v1::GetWorkingSetRequest>("nope"), &response),
      StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(
      keeping_.Get(kClient, Of<v1::GetWorkingSetRequest>("broken"), &response),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("too short")));
  v1::AddRecordingRequest other = Adding(5, 1);
  other.set_content_id("beef");
  EXPECT_THAT(keeping_.Add(kClient, other),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("is now another checkpoint")));
}

TEST_F(WorkingSetHandlerTest, DropsAll) {
  EXPECT_OK(keeping_.Add(kClient, Adding(100, 10)));
  EXPECT_OK(keeping_.Drop(kClient, Of<v1::DropWorkingSetRequest>()));
  EXPECT_TRUE(fs::is_empty(catalog_.directory()));
}

TEST_F(WorkingSetHandlerTest, SaysWhatItIgnores) {
  WriteFile(catalog_.directory() + "/" + WorkingSetFile::kName, "bad");
  EXPECT_THAT(Get().ignored(), HasSubstr("it is damaged"));
}

}  // namespace
}  // namespace pagelift
