#include "lib/transport/access_policy.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

const ClientIdentity kWeb({"URI:spiffe://prod/web/3", "CN:web"});

TEST(AccessPolicyTest, AllowsWhatARuleSays) {
  ASSERT_OK_AND_ASSIGN(
      const AccessPolicy policy,
      AccessPolicy::Parse("# who restores what\n"
                          "\n"
                          "allow CN:web  web/* shared/1 a#b # all\n"
                          "\tallow URI:spiffe://prod/* x\r\n"));
  EXPECT_TRUE(policy.Allows(kWeb, "web/1"));
  EXPECT_TRUE(policy.Allows(kWeb, "web/deep/er"));
  EXPECT_TRUE(policy.Allows(kWeb, "shared/1"));
  EXPECT_TRUE(policy.Allows(kWeb, "x"));
  EXPECT_TRUE(policy.Allows(kWeb, "a#b"));
  EXPECT_FALSE(policy.Allows(kWeb, "all"));
  EXPECT_FALSE(policy.Allows(kWeb, "shared/12"));
  EXPECT_FALSE(policy.Allows(kWeb, "web"));
  EXPECT_FALSE(policy.Allows(ClientIdentity({"CN:web2"}), "web/1"));
  EXPECT_FALSE(policy.Allows(ClientIdentity({"DNS:web"}), "web/1"));
  EXPECT_TRUE(policy.Allows(ClientIdentity({"URI:spiffe://prod/db"}), "x"));
}

TEST(AccessPolicyTest, WhatNoRuleAllowsIsRefused) {
  ASSERT_OK_AND_ASSIGN(const AccessPolicy nothing, AccessPolicy::Parse(""));
  EXPECT_FALSE(nothing.Allows(kWeb, "web/1"));
  ASSERT_OK_AND_ASSIGN(const AccessPolicy all,
                       AccessPolicy::Parse("allow * *"));
  EXPECT_TRUE(all.Allows(kWeb, "web/1"));
  // Certified, but as nobody.
  EXPECT_FALSE(all.Allows(ClientIdentity({}), "web/1"));
}

TEST(AccessPolicyTest, ALineThatCannotBeMeantIsNamed) {
  for (const char* line : {"deny CN:a b", "allow", "allow CN:a", "CN:a b",
                           "allow CN:a # b", "Allow CN:a b"}) {
    EXPECT_THAT(
        AccessPolicy::Parse(std::string("allow CN:a b\n\n") + line + "\n"),
        StatusIs(absl::StatusCode::kInvalidArgument,
                 HasSubstr("line 3: expected allow IDENTITY IMAGE...")));
  }
}

TEST(AccessPolicyTest, AFileIsFollowed) {
  TempDir dir;
  const std::string path = dir.Join("policy");
  auto write = [&](const std::string& text) {
    std::ofstream(dir.Join("new")) << text;
    std::filesystem::rename(dir.Join("new"), path);
  };
  EXPECT_THAT(LoadAccessPolicy(path),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(path)));
  write("nonsense\n");
  EXPECT_THAT(LoadAccessPolicy(path),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr(path + ": line 1")));
  write("allow CN:web a\n");
  ASSERT_OK_AND_ASSIGN(auto file, LoadAccessPolicy(path));
  EXPECT_TRUE(file->Current()->Allows(kWeb, "a"));
  write("allow CN:web b\n");
  EXPECT_FALSE(file->Current()->Allows(kWeb, "a"));
  EXPECT_TRUE(file->Current()->Allows(kWeb, "b"));
  for (const char* bad : {"nonsense\n", "allow CN:web *"}) {
    write(bad);
    EXPECT_TRUE(file->Current()->Allows(kWeb, "b"));
    EXPECT_FALSE(file->Current()->Allows(kWeb, "a"));
  }
  EXPECT_THAT(LoadAccessPolicy(dir.path()), ::testing::Not(IsOk()));
}

}  // namespace
}  // namespace pagelift
