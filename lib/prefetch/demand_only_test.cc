#include "lib/prefetch/demand_only.h"

#include "gtest/gtest.h"
#include "lib/memory/page.h"
#include "lib/prefetch/prefetch_policy.h"
#include "lib/prefetch/testing/missing_pages_model.h"

namespace pagelift {
namespace {

TEST(DemandOnlyTest, BringsNothing) {
  MissingPagesModel pages;
  pages.Add({PageId(10), PageCount(10)});
  DemandOnly policy;
  EXPECT_FALSE(policy.Next(pages, PageCount(8)).has_value());
  policy.OnFault({PageId(12), MissingPagesModel::ImageOf(PageId(12))});
  EXPECT_FALSE(policy.Next(pages, PageCount(8)).has_value());
  EXPECT_EQ(pages.left().size(), 10);
}

}  // namespace
}  // namespace pagelift
