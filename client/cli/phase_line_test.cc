#include "client/cli/phase_line.h"

#include <unistd.h>

#include <optional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"

namespace pagelift {
namespace {

using ::testing::EndsWith;
using ::testing::StartsWith;

class PhaseLineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    read_.reset(ends[0]);
    write_.reset(ends[1]);
  }

  // Blocks until something was written; empty after the end.
  std::string ReadSome() {
    char buffer[4096];
    const ssize_t n = read(read_.get(), buffer, sizeof(buffer));
    return std::string(buffer, n > 0 ? static_cast<size_t>(n) : 0);
  }
  std::string ReadAll() {
    write_.reset();
    std::string all;
    for (std::string part; !(part = ReadSome()).empty();) all += part;
    return all;
  }

  UniqueFd read_;
  UniqueFd write_;
};

TEST_F(PhaseLineTest, SaysWhatGoesOnAndIsGoneWhenItIsOver) {
  std::optional<PhaseLine> line;
  line.emplace(write_.get(), "criu restores", absl::Milliseconds(1));
  EXPECT_THAT(ReadSome(), StartsWith("\r\033[Kcriu restores, 1ms"));
  line.reset();
  EXPECT_THAT("\r\033[K" + ReadAll(), EndsWith("\r\033[K"));
}

TEST_F(PhaseLineTest, SaysNothingOfWhatIsOverSoon) {
  PhaseLine(write_.get(), "criu restores", absl::InfiniteDuration());
  EXPECT_EQ(ReadAll(), "");
}

TEST_F(PhaseLineTest, SaysNothingWhereThereIsNoTerminal) {
  PhaseLine(-1, "criu restores", absl::ZeroDuration());
  EXPECT_EQ(ReadAll(), "");
}

}  // namespace
}  // namespace pagelift
