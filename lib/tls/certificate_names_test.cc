#include "lib/tls/certificate_names.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/tls/testing/test_authority.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class CertificateNamesTest : public ::testing::Test {
 protected:
  std::vector<std::string> NamesOf(const std::string& common_name,
                                   const std::string& alternatives) {
    TestAuthority::Holder holder;
    holder.common_name = common_name;
    holder.alternatives = alternatives;
    auto names = CertificateNamesOfPem(authority_.IssuePem(holder));
    EXPECT_OK(names);
    return names.ok() ? *names : std::vector<std::string>();
  }

  const TestAuthority authority_{"an authority"};
};

TEST_F(CertificateNamesTest, EachHasItsKind) {
  EXPECT_THAT(NamesOf("a", "DNS:b.example,IP:10.0.0.1,URI:spiffe://prod/c"),
              ElementsAre("DNS:b.example", "URI:spiffe://prod/c", "CN:a"));
  EXPECT_THAT(NamesOf("URI:spiffe://prod/c", ""),
              ElementsAre("CN:URI:spiffe://prod/c"));
}

TEST_F(CertificateNamesTest, NamesThatLookLikeOthersAreNone) {
  EXPECT_THAT(NamesOf(std::string("admin\0.evil", 11), ""), IsEmpty());
  EXPECT_THAT(NamesOf("\xd0\xb0"
                      "dmin",
                      ""),
              IsEmpty());  // A Cyrillic a.
  EXPECT_THAT(NamesOf("a b", ""), ElementsAre("CN:a b"));
}

TEST_F(CertificateNamesTest, WhatIsNoCertificateIsAnError) {
  for (const char* pem : {"", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n"}) {
    EXPECT_THAT(CertificateNamesOfPem(pem),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST_F(CertificateNamesTest, OneThatHasExpiredNamesNobody) {
  TestAuthority::Holder holder;
  holder.common_name = "a";
  holder.seconds = -60;
  EXPECT_THAT(CertificateNamesOfPem(authority_.IssuePem(holder)),
              StatusIs(absl::StatusCode::kUnauthenticated));
}

}  // namespace
}  // namespace pagelift
