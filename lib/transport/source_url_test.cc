#include "lib/transport/source_url.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(SourceUrlTest, ReadsADirectory) {
  ASSERT_OK_AND_ASSIGN(SourceUrl url, SourceUrl::Parse("criu:/ckpt/1"));
  EXPECT_EQ(url.kind, SourceUrl::Kind::kCriuDirectory);
  EXPECT_EQ(url.directory, "/ckpt/1");
}

TEST(SourceUrlTest, ReadsAPageServerWithANameThatHasSlashes) {
  ASSERT_OK_AND_ASSIGN(SourceUrl url,
                       SourceUrl::Parse("grpc://10.0.0.2:7077/redis/1"));
  EXPECT_EQ(url.kind, SourceUrl::Kind::kPageServer);
  EXPECT_THAT(url.addresses, ElementsAre("10.0.0.2:7077"));
  EXPECT_EQ(url.image, "redis/1");
}

TEST(SourceUrlTest, ReadsAnIpv6Host) {
  ASSERT_OK_AND_ASSIGN(SourceUrl url, SourceUrl::Parse("grpc://[::1]:7077/a"));
  EXPECT_THAT(url.addresses, ElementsAre("[::1]:7077"));
}

TEST(SourceUrlTest, ReadsSeveralPageServers) {
  ASSERT_OK_AND_ASSIGN(SourceUrl url,
                       SourceUrl::Parse("grpc://a:1,[::1]:7077,c:3/redis"));
  EXPECT_THAT(url.addresses, ElementsAre("a:1", "[::1]:7077", "c:3"));
  EXPECT_EQ(url.image, "redis");
}

TEST(SourceUrlTest, ReadsOneOverTls) {
  ASSERT_OK_AND_ASSIGN(
      SourceUrl url,
      SourceUrl::Parse("grpcs://a:1,b:2/redis/1?tls=/etc/x&name=pages"));
  EXPECT_TRUE(url.tls);
  EXPECT_EQ(url.image, "redis/1");
  EXPECT_EQ(url.tls_directory, "/etc/x");
  EXPECT_EQ(url.server_name, "pages");
  ASSERT_OK_AND_ASSIGN(url, SourceUrl::Parse("grpcs://a:1/redis"));
  EXPECT_TRUE(url.tls);
  EXPECT_EQ(url.tls_directory, "");
}

TEST(SourceUrlTest, PlainTextIsSpelledOut) {
  ASSERT_OK_AND_ASSIGN(SourceUrl url, SourceUrl::Parse("grpc://a:1/redis"));
  EXPECT_FALSE(url.tls);
  EXPECT_FALSE(url.insecure);
  ASSERT_OK_AND_ASSIGN(url, SourceUrl::Parse("grpc://a:1/redis?insecure"));
  EXPECT_TRUE(url.insecure);
  EXPECT_EQ(url.image, "redis");
}

TEST(SourceUrlTest, WhatWasLetInStaysSo) {
  EXPECT_EQ(SourceUrl::LetIn("grpc://a:1/b"), "grpc://a:1/b?insecure");
  for (const char* text : {"grpc://a:1/b?insecure", "grpcs://a:1/b?tls=/d",
                           "criu:/d", "nonsense"}) {
    EXPECT_EQ(SourceUrl::LetIn(text), text);
  }
}

TEST(SourceUrlTest, AddsOptions) {
  EXPECT_EQ(SourceUrl::WithOption("grpc://a:1/b", "insecure"),
            "grpc://a:1/b?insecure");
  EXPECT_EQ(SourceUrl::WithOption("grpcs://a:1/b?name=c", "tls=/d"),
            "grpcs://a:1/b?name=c&tls=/d");
  EXPECT_EQ(SourceUrl::WithOption("criu:/d", "tls=/d"), "criu:/d");
}

TEST(SourceUrlTest, SaysWhatIsExpected) {
  for (const char* text : {"",
                           "redis",
                           "criu:",
                           "grpc://host/name",
                           "grpc://host:0/name",
                           "grpc://host:70000/name",
                           "grpc://host:7077",
                           "grpc://host:7077/",
                           "grpc://:7077/name",
                           "http://host:1/name",
                           "grpc://a:1,/name",
                           "grpc://a:1,b/name",
                           "grpcs:///name",
                           "grpc://a:1/b?tls=/d",
                           "grpcs://a:1/b?insecure",
                           "grpcs://a:1/b?tls=",
                           "grpcs://a:1/b?",
                           "grpcs://a:1/b?other=1",
                           "grpc://a:1/?insecure",
                           "grpc://,a:1/name",
                           "grpc://a:1,a:1/name"}) {
    EXPECT_THAT(SourceUrl::Parse(text),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("expected criu:DIR or grpc://")))
        << text;
  }
}

TEST(SourceUrlTest, ThereMayNotBeTooMany) {
  std::string servers = "a:1";
  for (int i = 2; i <= 33; ++i) absl::StrAppend(&servers, ",a:", i);
  EXPECT_FALSE(SourceUrl::Parse("grpc://" + servers + "/name").ok());
}

}  // namespace
}  // namespace pagelift
