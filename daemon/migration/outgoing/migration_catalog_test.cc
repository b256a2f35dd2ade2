#include "daemon/migration/outgoing/migration_catalog.h"

#include <memory>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/source/testing/fake_page_store.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(MigrationCatalogTest, GivesItsImageToWhoKnowsItsName) {
  MigrationCatalog catalog("secret");
  EXPECT_THAT(catalog.Open("secret").status(),
              StatusIs(absl::StatusCode::kNotFound));
  const std::shared_ptr<const PageStore> store =
      std::make_shared<FakePageStore>(ImageDescription());
  catalog.Put(store);
  EXPECT_THAT(catalog.Open("secret"), IsOkAndHolds(store));
}

TEST(MigrationCatalogTest, AndTellsNobodyElseThatThereIsOne) {
  MigrationCatalog catalog("secret");
  catalog.Put(std::make_shared<FakePageStore>(ImageDescription()));
  EXPECT_THAT(catalog.Names(), IsEmpty());
  EXPECT_THAT(catalog.Open("guess").status(),
              StatusIs(absl::StatusCode::kNotFound, Not(HasSubstr("secret"))));
  EXPECT_THAT(catalog.OpenWorkingSet("secret").status(),
              StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace pagelift
