#include "daemon/page_server/page_server_options.h"

#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/process/sandbox_mode.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

std::optional<int> Parse(std::vector<const char*> arguments,
                         PageServerOptions* options) {
  arguments.insert(arguments.begin(), "pagelift-server");
  return ParsePageServerOptions(static_cast<int>(arguments.size()),
                                arguments.data(), options);
}

TEST(PageServerOptionsTest, TakesImagesByName) {
  PageServerOptions options;
  EXPECT_EQ(Parse({"--image", "redis/1=/a", "-i", "b=/x=y", "--ready-fd=3",
                   "--log-level", "warning", "--listen=unix:/s",
                   "--keep-working-sets", "--connections-per-client=7",
                   "--sandbox=strict"},
                  &options),
            std::nullopt);
  EXPECT_THAT(options.images,
              ElementsAre(Pair("b", "/x=y"), Pair("redis/1", "/a")));
  EXPECT_EQ(options.ready_fd, 3);
  EXPECT_EQ(options.log_level, LogLevel::kWarning);
  EXPECT_EQ(options.listen, "unix:/s");
  EXPECT_TRUE(options.keep_working_sets);
  EXPECT_EQ(options.connections_per_client, 7u);
  EXPECT_EQ(options.sandbox, SandboxMode::kStrict);
}

TEST(PageServerOptionsTest, ASinkIsARoot) {
  PageServerOptions options;
  EXPECT_EQ(
      Parse({"--sink=/a", "--sink-listen=0.0.0.0:1", "--insecure"}, &options),
      std::nullopt);
  EXPECT_EQ(options.sink, "/a");
  EXPECT_EQ(options.root, "/a");
  PageServerOptions both;
  EXPECT_EQ(Parse({"--sink=/a", "--root=/b"}, &both), std::nullopt);
  EXPECT_EQ(both.root, "/b");
  EXPECT_EQ(both.sink_listen, "127.0.0.1:7079");
}

TEST(PageServerOptionsTest, RefusesWhatMakesNoSense) {
  struct Case {
    std::vector<const char*> arguments;
    const char* message;
  };
  for (const Case& c :
       {Case{{}, "nothing to serve"},
        Case{{"--image=a"}, "--image: expected NAME=DIR"},
        Case{{"--image==/a"}, "--image: expected NAME=DIR"},
        Case{{"--image=../a=/a"}, "cannot be the name of an image"},
        Case{{"--image=a=/a", "--image=a=/b"}, "two images of the name a"},
        Case{{"--root=/", "--log-level=loud"}, "'loud' is not debug"},
        Case{{"--root=/", "--connections-per-client=0"}, "at least 1"},
        Case{{"--sink=/", "--sink-listen=0.0.0.0:1"}, "may send dumps"},
        Case{{"--sink=/", "--sink-listen=unix:/s"}, "TCP ports only"},
        Case{{"--root=/", "--sink-listen=0.0.0.0:1"}, "with --sink only"},
        Case{{"--root=/", "extra"}, "unexpected argument 'extra'"}}) {
    PageServerOptions options;
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(Parse(c.arguments, &options), 2);
    EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr(c.message));
  }
}

}  // namespace
}  // namespace pagelift
