#include "lib/tls/tls_credentials.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/tls/testing/test_authority.h"

namespace pagelift {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class TlsCredentialsTest : public ::testing::Test {
 protected:
  TlsCredentialsTest() { authority_.Issue({"a"}, dir_.path()); }

  auto Load() {
    return TlsCredentials::Load(dir_.path(), TlsCredentials::End::kServer);
  }

  TempDir dir_;
  const TestAuthority authority_{"an authority"};
};

TEST_F(TlsCredentialsTest, IsTheSameWhileTheFilesAre) {
  ASSERT_OK_AND_ASSIGN(auto credentials, Load());
  EXPECT_EQ(credentials->Current(), credentials->Current());
}

TEST_F(TlsCredentialsTest, TakesFilesThatWereRenewed) {
  ASSERT_OK_AND_ASSIGN(auto credentials, Load());
  const auto former = credentials->Current();
  authority_.Issue({"b"}, dir_.path());
  EXPECT_NE(credentials->Current(), former);
}

TEST_F(TlsCredentialsTest, GoesOnWithTheFormerWhileTheNewCannotBeUsed) {
  ASSERT_OK_AND_ASSIGN(auto credentials, Load());
  const auto former = credentials->Current();
  // Of another certificate.
  authority_.Issue({"b"}, dir_.Join("b"));
  std::filesystem::rename(dir_.Join("b/tls.key"), dir_.Join("tls.key"));
  EXPECT_EQ(credentials->Current(), former);
  std::filesystem::remove(dir_.Join("ca.crt"));
  EXPECT_EQ(credentials->Current(), former);
  std::filesystem::rename(dir_.Join("b/tls.crt"), dir_.Join("tls.crt"));
  EXPECT_EQ(credentials->Current(), former);
  std::filesystem::rename(dir_.Join("b/ca.crt"), dir_.Join("ca.crt"));
  EXPECT_NE(credentials->Current(), former);
}

TEST_F(TlsCredentialsTest, TheErrorNamesTheFile) {
  for (const char* name : {"tls.crt", "tls.key", "ca.crt"}) {
    authority_.Issue({"a"}, dir_.path());
    std::ofstream(dir_.Join(name)) << "nonsense";
    EXPECT_THAT(Load(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                 AllOf(HasSubstr(dir_.Join(name)),
                                       HasSubstr("cannot be used: "))));
    std::filesystem::remove(dir_.Join(name));
    EXPECT_THAT(Load(), StatusIs(absl::StatusCode::kNotFound,
                                 HasSubstr(dir_.Join(name))));
  }
}

}  // namespace
}  // namespace pagelift
