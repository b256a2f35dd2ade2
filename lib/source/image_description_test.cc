#include "lib/source/image_description.h"

#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

PageRange Pages(uint64_t first, uint64_t count) {
  return {PageId(first), PageCount(count)};
}

// Two regions, of which [10..14) has image pages 0 to 3 and [22..24) 8 and 9.
ImageDescription GoodImage() {
  TaskDescription task;
  task.pid = 7;
  task.lazy_regions = {Pages(10, 10), Pages(20, 10)};
  task.extents = {{Pages(10, 4), ImagePage(0)}, {Pages(22, 2), ImagePage(8)}};
  TaskDescription zombie;
  zombie.pid = 8;
  zombie.zombie = true;
  ImageDescription image;
  image.content_id = "00ff";
  image.page_count = PageCount(10);
  image.tasks = {task, zombie};
  return image;
}

void ExpectRefused(const ImageDescription& image, const std::string& why) {
  EXPECT_THAT(image.Validate(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why)));
}

TEST(ImageDescriptionTest, AcceptsWhatFitsTogether) {
  EXPECT_OK(GoodImage().Validate());
}

TEST(ImageDescriptionTest, MustHavePagesAreServedOnesInOrder) {
  ImageDescription image = GoodImage();
  image.tasks[0].must_have_pages = {PageId(10), PageId(13), PageId(22)};
  EXPECT_OK(image.Validate());
  for (const std::vector<PageId>& bad :
       std::vector<std::vector<PageId>>{{PageId(14)},
                                        {PageId(9)},
                                        {PageId(24)},
                                        {PageId(11), PageId(10)},
                                        {PageId(11), PageId(11)}}) {
    image.tasks[0].must_have_pages = bad;
    ExpectRefused(image, "must-have");
  }
  image.tasks[0].must_have_pages.clear();
  image.tasks[1].must_have_pages = {PageId(10)};
  ExpectRefused(image, "zombie");
}

TEST(ImageDescriptionTest, FindsTasksByPid) {
  ImageDescription image = GoodImage();
  ASSERT_NE(image.FindTask(8), nullptr);
  EXPECT_TRUE(image.FindTask(8)->zombie);
  EXPECT_EQ(image.FindTask(9), nullptr);
}

TEST(ImageDescriptionTest, CountsTheLazyPagesOfATask) {
  EXPECT_EQ(GoodImage().tasks[0].lazy_pages(), PageCount(6));
}

TEST(ImageDescriptionTest, RefusesAContentIdThatIsNoPlainName) {
  ImageDescription image = GoodImage();
  for (const std::string& id :
       {std::string("../x"), std::string(), std::string(129, 'a'),
        std::string("a\0b", 3)}) {
    image.content_id = id;
    ExpectRefused(image, "content id");
  }
}

TEST(ImageDescriptionTest, RefusesRegionsOutOfOrderOrOverlapping) {
  ImageDescription image = GoodImage();
  std::swap(image.tasks[0].lazy_regions[0], image.tasks[0].lazy_regions[1]);
  ExpectRefused(image, "out of order");
  image = GoodImage();
  image.tasks[0].lazy_regions[0].count = PageCount(11);
  ExpectRefused(image, "overlaps the region before it");
}

TEST(ImageDescriptionTest, RefusesRangesThatAreEmptyTooHighOrWrapAround) {
  for (PageRange bad : {Pages(30, 0), Pages((uint64_t{1} << 45) - 1, 2),
                        Pages(30, ~uint64_t{0} - 5)}) {
    ImageDescription image = GoodImage();
    image.tasks[0].lazy_regions.push_back(bad);
    ExpectRefused(image, "impossible");
    image = GoodImage();
    image.tasks[0].extents.push_back({bad, ImagePage(4)});
    ExpectRefused(image, "impossible");
  }
}

TEST(ImageDescriptionTest, RefusesAnExtentAcrossTwoRegions) {
  ImageDescription image = GoodImage();
  image.tasks[0].extents = {{Pages(18, 4), ImagePage(0)}};
  ExpectRefused(image, "not inside one lazy region");
}

TEST(ImageDescriptionTest, RefusesAnExtentOutsideAllRegions) {
  ImageDescription image = GoodImage();
  image.tasks[0].extents.push_back({Pages(40, 1), ImagePage(5)});
  ExpectRefused(image, "not inside one lazy region");
}

TEST(ImageDescriptionTest, RefusesOverlappingExtents) {
  ImageDescription image = GoodImage();
  image.tasks[0].extents.insert(image.tasks[0].extents.begin() + 1,
                                {Pages(13, 1), ImagePage(5)});
  ExpectRefused(image, "overlaps the extent before it");
}

TEST(ImageDescriptionTest, RefusesImagePagesThatTheImageDoesNotHave) {
  ImageDescription image = GoodImage();
  image.tasks[0].extents[1].image = ImagePage(9);
  ExpectRefused(image, "of an image of 10");
  image.tasks[0].extents[1].image = ImagePage(~uint64_t{0});
  ExpectRefused(image, "of an image of 10");
}

TEST(ImageDescriptionTest, RefusesAnImagePageUsedTwiceByOneTask) {
  ImageDescription image = GoodImage();
  image.tasks[0].extents[1].image = ImagePage(3);
  ExpectRefused(image, "used by two extents");
}

TEST(ImageDescriptionTest, TwoTasksMayShareImagePages) {
  ImageDescription image = GoodImage();
  image.tasks.push_back(image.tasks[0]);
  image.tasks[2].pid = 9;
  EXPECT_OK(image.Validate());
}

TEST(ImageDescriptionTest, RefusesImpossibleTasks) {
  ImageDescription image = GoodImage();
  image.tasks.push_back(image.tasks[0]);
  ExpectRefused(image, "task 7 is there twice");
  image = GoodImage();
  image.tasks[0].pid = -7;
  ExpectRefused(image, "not positive");
  image = GoodImage();
  image.tasks[0].zombie = true;
  ExpectRefused(image, "a zombie has memory");
}

TEST(ImageDescriptionTest, TellsAnotherCheckpoint) {
  const ImageDescription image = GoodImage();
  EXPECT_OK(CheckSameCheckpoint("criu:/x", image, image.content_id));
  EXPECT_THAT(CheckSameCheckpoint("criu:/x", image, "f00"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("criu:/x has another checkpoint"),
                             HasSubstr("f00"), HasSubstr("Check"))));
}

TEST(ImageDescriptionTest, RefusesMorePagesThanAddressesExist) {
  ImageDescription image = GoodImage();
  image.page_count = PageCount((uint64_t{1} << 45) + 1);
  ExpectRefused(image, "impossible");
}

}  // namespace
}  // namespace pagelift
