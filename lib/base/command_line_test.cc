#include "lib/base/command_line.h"

#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

using Outcome = CommandLine::Outcome;

// What a program with a bit of everything reads.
struct Options {
  bool daemonize = false;
  int depth = 3;
  uint64_t bytes = 0;
  absl::Duration deadline = absl::Seconds(1);
  std::string directory = "/images";
  std::vector<std::string> images;
  int verbosity = 0;
  std::string command;
  std::vector<std::string> files;
  std::vector<std::string> rest;
};

class CommandLineTest : public ::testing::Test {
 protected:
  CommandLineTest() {
    line_.Add(
        {"daemonize", 'd', "", "go to the background", &options_.daemonize});
    line_.Add({"depth", 0, "N", "how deep", &options_.depth});
    line_.Add({"bytes", 0, "N", "how many", &options_.bytes});
    line_.Add({"deadline", 0, "DURATION", "how long", &options_.deadline});
    line_.Add({"images-dir", 'D', "DIR", "where", &options_.directory});
    line_.Add({"image", 'i', "NAME=DIR", "which", &options_.images});
    line_.Add({"verbosity", 'v', "[LEVEL]", "how loud",
               VerbosityInto(&options_.verbosity)});
  }

  absl::StatusOr<Outcome> Parse(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "tool");
    return line_.Parse(static_cast<int>(arguments.size()), arguments.data());
  }

  Options options_;
  CommandLine line_{"tool", "Does things."};
};

TEST_F(CommandLineTest, KeepsTheDefaultsWithoutArguments) {
  EXPECT_THAT(Parse({}), IsOkAndHolds(Outcome::kRun));
  EXPECT_FALSE(options_.daemonize);
  EXPECT_EQ(options_.depth, 3);
  EXPECT_EQ(options_.directory, "/images");
}

TEST_F(CommandLineTest, TakesLongAndShortForms) {
  ASSERT_OK(Parse({"--depth=5", "--bytes", "4294967296", "-D", "/a", "-d",
                   "--deadline=1m30s"}));
  EXPECT_EQ(options_.depth, 5);
  EXPECT_EQ(options_.bytes, uint64_t{1} << 32);
  EXPECT_EQ(options_.directory, "/a");
  EXPECT_TRUE(options_.daemonize);
  EXPECT_EQ(options_.deadline, absl::Seconds(90));
}

TEST_F(CommandLineTest, TheLastOneCountsUnlessItRepeats) {
  ASSERT_OK(Parse({"-D/a", "-D/b", "-ix=1", "--image", "y=2"}));
  EXPECT_EQ(options_.directory, "/b");
  EXPECT_THAT(options_.images, ElementsAre("x=1", "y=2"));
}

TEST_F(CommandLineTest, AnOptionalValueIsAttached) {
  ASSERT_OK(Parse({"-v4"}));
  EXPECT_EQ(options_.verbosity, 4);
}

TEST_F(CommandLineTest, LettersCount) {
  ASSERT_OK(Parse({"-vvvv"}));
  EXPECT_EQ(options_.verbosity, 4);
}

TEST_F(CommandLineTest, AnOptionalValueIsNotTheNextWord) {
  line_.AddPositional({"[FILE]...", "files", &options_.files});
  ASSERT_OK(Parse({"-v", "4", "--verbosity"}));
  EXPECT_EQ(options_.verbosity, 2);
  EXPECT_THAT(options_.files, ElementsAre("4"));
}

TEST_F(CommandLineTest, RefusesAVerbosityThatIsNone) {
  EXPECT_THAT(Parse({"-vvx"}), StatusIs(absl::StatusCode::kInvalidArgument,
                                        HasSubstr("--verbosity: 'vx'")));
}

TEST_F(CommandLineTest, WordsAndOptionsMayMix) {
  line_.AddPositional({"COMMAND", "what", &options_.command});
  line_.AddPositional({"FILE...", "files", &options_.files});
  ASSERT_OK(Parse({"run", "a", "-d", "b", "--depth=1", "c"}));
  EXPECT_EQ(options_.command, "run");
  EXPECT_THAT(options_.files, ElementsAre("a", "b", "c"));
  EXPECT_EQ(options_.depth, 1);
}

TEST_F(CommandLineTest, WordsMayMixWhateverPosixlyCorrectSays) {
  line_.AddPositional({"FILE...", "files", &options_.files});
  setenv("POSIXLY_CORRECT", "1", 1);
  EXPECT_OK(Parse({"a", "-d"}));
  unsetenv("POSIXLY_CORRECT");
  EXPECT_TRUE(options_.daemonize);
}

TEST_F(CommandLineTest, PassesOnWhatFollowsTheDashes) {
  line_.PassThrough("COMMAND [ARG]...", "a command to run", &options_.rest);
  line_.AddPositional({"[FILE]...", "files", &options_.files});
  ASSERT_OK(Parse({"a", "--", "sh", "-c", "x", "--"}));
  EXPECT_THAT(options_.files, ElementsAre("a"));
  EXPECT_THAT(options_.rest, ElementsAre("sh", "-c", "x", "--"));
}

TEST_F(CommandLineTest, WithoutPassThroughTheDashesEndTheOptions) {
  line_.AddPositional({"FILE...", "files", &options_.files});
  ASSERT_OK(Parse({"--", "-d"}));
  EXPECT_FALSE(options_.daemonize);
  EXPECT_THAT(options_.files, ElementsAre("-d"));
}

TEST_F(CommandLineTest, CanParseAgainAfterAnError) {
  EXPECT_FALSE(Parse({"-d", "-ZZZ"}).ok());
  EXPECT_OK(Parse({"--depth=8"}));
  EXPECT_EQ(options_.depth, 8);
}

TEST_F(CommandLineTest, LeavesArgvAlone) {
  line_.AddPositional({"FILE", "a file", &options_.command});
  const char* argv[] = {"tool", "a", "-d"};
  ASSERT_OK(line_.Parse(3, argv));
  EXPECT_THAT(argv, ElementsAre(testing::StrEq("tool"), testing::StrEq("a"),
                                testing::StrEq("-d")));
}

struct WrongCase {
  std::vector<const char*> arguments;
  const char* message;
};

class WrongCommandLineTest : public CommandLineTest,
                             public ::testing::WithParamInterface<WrongCase> {};

TEST_P(WrongCommandLineTest, IsRefusedByName) {
  line_.AddPositional({"FILE", "a file", &options_.command});
  EXPECT_THAT(Parse(GetParam().arguments),
              StatusIs(absl::StatusCode::kInvalidArgument, GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    All, WrongCommandLineTest,
    ::testing::Values(
        WrongCase{{"--nope=1", "f"}, "unknown option --nope"},
        WrongCase{{"-Z", "f"}, "unknown option -Z"},
        WrongCase{{"-dZ", "f"}, "unknown option -Z"},
        WrongCase{{"--depth"}, "option --depth needs a value: N"},
        WrongCase{{"-D"}, "option -D needs a value: DIR"},
        WrongCase{{"--daemonize=yes"}, "option --daemonize takes no value"},
        WrongCase{{"--help=yes"}, "option --help takes no value"},
        WrongCase{{"--im", "x"},
                  "option --im may mean each of --images-dir, --image"},
        WrongCase{{"--depth=x", "f"}, "--depth: 'x' is not a number"},
        WrongCase{{"--bytes=-1", "f"},
                  "--bytes: '-1' is not a number from 0 up"},
        WrongCase{{"--deadline=5", "f"},
                  "--deadline: '5' is not a duration like 1.5s or 2m"},
        WrongCase{{}, "missing argument FILE"},
        WrongCase{{"f", "g"}, "unexpected argument 'g'"}));

TEST_F(CommandLineTest, HelpComesFirst) {
  line_.AddPositional({"FILE", "a file", &options_.command});
  EXPECT_THAT(Parse({"--help"}), IsOkAndHolds(Outcome::kHelp));
  EXPECT_THAT(Parse({"-h", "--nonsense"}), IsOkAndHolds(Outcome::kHelp));
}

TEST_F(CommandLineTest, TheLetterHIsFreeForOthers) {
  std::string host;
  line_.Add({"host", 'h', "HOST", "a host", &host});
  EXPECT_THAT(Parse({"-h", "example"}), IsOkAndHolds(Outcome::kRun));
  EXPECT_EQ(host, "example");
  EXPECT_THAT(line_.Help(), Not(HasSubstr("-h, --help")));
}

TEST_F(CommandLineTest, HelpListsEverything) {
  line_.AddPositional({"[FILE]...", "files to read", &options_.files});
  line_.PassThrough("ARG...", "for the command", &options_.rest);
  line_.Examples("Examples:\n  tool -d a\n");
  EXPECT_EQ(line_.Help(),
            "Usage: tool [OPTION]... [FILE]... [-- ARG...]\n"
            "Does things.\n"
            "\n"
            "Arguments:\n"
            "  [FILE]...                   files to read\n"
            "  ARG...                      for the command\n"
            "\n"
            "Options:\n"
            "  -d, --daemonize             go to the background\n"
            "      --depth=N               how deep\n"
            "      --bytes=N               how many\n"
            "      --deadline=DURATION     how long\n"
            "  -D, --images-dir=DIR        where\n"
            "  -i, --image=NAME=DIR        which\n"
            "  -v, --verbosity[=LEVEL]     how loud\n"
            "  -h, --help                  print this text\n"
            "\n"
            "Examples:\n"
            "  tool -d a\n");
}

TEST_F(CommandLineTest, HelpBreaksLongLines) {
  bool flag;
  std::string words;
  for (int i = 0; i < 40; ++i) words += "word ";
  line_.Add({"with-a-very-long-name-of-its-own", 'w', "", words, &flag});
  for (const std::string& row :
       std::vector<std::string>(absl::StrSplit(line_.Help(), '\n'))) {
    EXPECT_LT(row.size(), 80u) << row;
  }
  EXPECT_THAT(line_.Help(), HasSubstr("of-its-own\n          "));
}

TEST_F(CommandLineTest, AComplaintSaysWhereHelpIs) {
  ::testing::internal::CaptureStderr();
  const char* argv[] = {"tool", "--nope"};
  EXPECT_EQ(line_.ParseOrExitCode(2, argv), 2);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "tool: unknown option --nope\nTry 'tool --help'.\n");
}

TEST_F(CommandLineTest, AskingForHelpIsSuccess) {
  ::testing::internal::CaptureStdout();
  const char* argv[] = {"tool", "--help"};
  EXPECT_EQ(line_.ParseOrExitCode(2, argv), 0);
  EXPECT_THAT(::testing::internal::GetCapturedStdout(),
              StartsWith("Usage: tool"));
}

}  // namespace
}  // namespace pagelift
