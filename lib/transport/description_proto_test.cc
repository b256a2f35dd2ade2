#include "lib/transport/description_proto.h"

#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

ImageDescription Sample(int extents) {
  ImageDescription description;
  description.content_id = "c0ffee";
  description.page_count = PageCount(extents);
  TaskDescription task;
  task.pid = 7;
  task.lazy_regions = {{PageId(100), PageCount(2u * extents + 1)}};
  for (int i = 0; i < extents; ++i) {
    task.extents.push_back(
        {{PageId(100 + 2u * i), PageCount(1)}, ImagePage(i)});
    if (i % 3 == 0) task.must_have_pages.push_back(PageId(100 + 2u * i));
  }
  TaskDescription zombie;
  zombie.pid = 8;
  zombie.zombie = true;
  description.tasks = {task, zombie};
  return description;
}

std::vector<v1::OpenImageResponse> Parts(const ImageDescription& description) {
  std::vector<v1::OpenImageResponse> parts;
  DescribeInParts(description, [&](const v1::OpenImageResponse& part) {
    parts.push_back(part);
    return true;
  });
  return parts;
}

absl::StatusOr<ImageDescription> Assemble(
    const std::vector<v1::OpenImageResponse>& parts) {
  DescriptionAssembler assembler;
  for (const v1::OpenImageResponse& part : parts) {
    absl::Status status = assembler.Add(part);
    if (!status.ok()) return status;
  }
  return std::move(assembler).Finish();
}

TEST(DescriptionProtoTest, ALargeTaskComesInPartsAndIsTheSameAgain) {
  ImageDescription description = Sample(120001);
  std::vector<v1::OpenImageResponse> parts = Parts(description);
  EXPECT_GT(parts.size(), 3u);
  for (const v1::OpenImageResponse& part : parts) {
    EXPECT_LT(part.ByteSizeLong(), 4u << 20);
  }
  ASSERT_OK_AND_ASSIGN(ImageDescription again, Assemble(parts));
  EXPECT_EQ(again.tasks[0].must_have_pages,
            description.tasks[0].must_have_pages);
  EXPECT_EQ(again.content_id, description.content_id);
  EXPECT_EQ(again.page_count, description.page_count);
  ASSERT_EQ(again.tasks.size(), 2u);
  EXPECT_EQ(again.tasks[0].lazy_regions, description.tasks[0].lazy_regions);
  ASSERT_EQ(again.tasks[0].extents.size(), 120001u);
  EXPECT_EQ(again.tasks[0].extents.back().pages,
            description.tasks[0].extents.back().pages);
  EXPECT_TRUE(again.tasks[1].zombie);
}

TEST(DescriptionProtoTest, RefusesADescriptionThatStopsShort) {
  std::vector<v1::OpenImageResponse> parts = Parts(Sample(3));
  parts.pop_back();
  EXPECT_THAT(Assemble(parts), StatusIs(absl::StatusCode::kInvalidArgument,
                                        HasSubstr("not complete")));
}

TEST(DescriptionProtoTest, RefusesExtentsOutsideTheImage) {
  std::vector<v1::OpenImageResponse> parts = Parts(Sample(3));
  parts[1].mutable_task()->mutable_extents(0)->set_image_page(3);
  EXPECT_THAT(Assemble(parts),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("damaged")));
  // As the server meant it.
  ImageDescription description = Sample(3);
  description.tasks[0].extents[0].image = ImagePage(3);
  EXPECT_THAT(Assemble(Parts(description)),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(DescriptionProtoTest, RefusesWhatWasDamagedOnItsWay) {
  auto expect_damaged = [](auto damage) {
    std::vector<v1::OpenImageResponse> parts = Parts(Sample(3));
    damage(parts);
    EXPECT_THAT(Assemble(parts),
                StatusIs(absl::StatusCode::kUnavailable, HasSubstr("damaged")));
  };
  // Everything that is still a description.
  expect_damaged([](auto& parts) {
    v1::TaskPart& task = *parts[1].mutable_task();
    task.mutable_extents(0)->set_image_page(1);
    task.mutable_extents(1)->set_image_page(0);
  });
  expect_damaged([](auto& parts) {
    parts[1].mutable_task()->mutable_extents(0)->set_first_page(101);
    parts[1].mutable_task()->set_must_have_pages(0, 101);
  });
  expect_damaged([](auto& parts) { parts[1].mutable_task()->set_pid(9); });
  expect_damaged([](auto& parts) {
    parts[1].mutable_task()->mutable_lazy_regions(0)->set_page_count(8);
  });
  expect_damaged(
      [](auto& parts) { parts[1].mutable_task()->clear_must_have_pages(); });
  expect_damaged([](auto& parts) {
    parts[0].mutable_header()->set_content_id("another");
  });
  expect_damaged(
      [](auto& parts) { parts[0].mutable_header()->set_page_count(4); });
  expect_damaged([](auto& parts) {
    parts[0].mutable_header()->set_description_checksum(0);
  });
}

TEST(DescriptionProtoTest, RefusesAnotherPageSize) {
  std::vector<v1::OpenImageResponse> parts = Parts(Sample(3));
  parts[0].mutable_header()->set_page_size(65536);
  EXPECT_THAT(Assemble(parts), StatusIs(absl::StatusCode::kFailedPrecondition,
                                        HasSubstr("65536")));
}

TEST(DescriptionProtoTest, RefusesMoreTasksThanThereCanBe) {
  std::vector<v1::OpenImageResponse> parts = Parts(Sample(3));
  parts[0].mutable_header()->set_task_count(~0u);
  EXPECT_THAT(Assemble(parts), StatusIs(absl::StatusCode::kInvalidArgument,
                                        HasSubstr("too many tasks")));
}

TEST(DescriptionProtoTest, RefusesRangesThatWrap) {
  std::vector<v1::OpenImageResponse> parts = Parts(Sample(3));
  parts[1].mutable_task()->mutable_lazy_regions(0)->set_page_count(~0ull);
  EXPECT_THAT(Assemble(parts),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("wraps")));
}

}  // namespace
}  // namespace pagelift
