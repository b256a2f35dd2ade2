#include "lib/transport/client_quota.h"

#include <vector>

#include "gtest/gtest.h"

namespace pagelift {
namespace {

TEST(ClientQuotaTest, EachClientHasItsOwn) {
  ClientQuota quota(2, "things");
  std::vector<ClientQuota::Place> places;
  for (const char* client : {"a", "a", "b", "b"}) {
    std::optional<ClientQuota::Place> place = quota.Enter(client);
    ASSERT_TRUE(place.has_value());
    places.push_back(*std::move(place));
  }
  EXPECT_FALSE(quota.Enter("a").has_value());
  EXPECT_FALSE(quota.Enter("b").has_value());
  EXPECT_TRUE(quota.Enter("c").has_value());
  places.pop_back();
  EXPECT_FALSE(quota.Enter("a").has_value());
  EXPECT_TRUE(quota.Enter("b").has_value());
  places.clear();
  EXPECT_TRUE(quota.Enter("a").has_value());
}

}  // namespace
}  // namespace pagelift
