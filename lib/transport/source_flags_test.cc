#include "lib/transport/source_flags.h"

#include <filesystem>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace pagelift {
namespace {

std::string Applied(std::vector<const char*> argv, const std::string& url) {
  SourceFlags flags;
  CommandLine line("program", "Does something.");
  flags.AddTo(line);
  argv.insert(argv.begin(), "program");
  EXPECT_FALSE(
      line.ParseOrExitCode(static_cast<int>(argv.size()), argv.data()));
  return flags.AppliedTo(url);
}

TEST(SourceFlagsTest, BecomeOptionsOfTheUrl) {
  EXPECT_EQ(Applied({}, "grpc://a:1/b"), "grpc://a:1/b");
  EXPECT_EQ(Applied({"--insecure"}, "grpc://a:1/b"), "grpc://a:1/b?insecure");
  EXPECT_EQ(Applied({"--tls", "/d"}, "grpcs://a:1/b?name=c"),
            "grpcs://a:1/b?name=c&tls=/d");
}

TEST(SourceFlagsTest, DirectoriesAreAbsolute) {
  EXPECT_EQ(Applied({"--tls", "d"}, "grpcs://a:1/b"),
            "grpcs://a:1/b?tls=" + std::filesystem::absolute("d").string());
}

TEST(SourceFlagsTest, AreForUrlsThatHaveAUseForThem) {
  EXPECT_EQ(Applied({"--insecure", "--tls", "/d"}, "grpc://a:1/b"),
            "grpc://a:1/b?insecure");
  EXPECT_EQ(Applied({"--insecure", "--tls", "/d"}, "grpcs://a:1/b"),
            "grpcs://a:1/b?tls=/d");
}

TEST(SourceFlagsTest, DirectoriesOfImagesHaveNoUseForThem) {
  EXPECT_EQ(Applied({"--insecure", "--tls", "/d"}, "criu:/x"), "criu:/x");
}

}  // namespace
}  // namespace pagelift
