#include "daemon/migration/hosts/host_facts.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"

namespace pagelift {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Property;

TEST(HostFactsTest, FindsTheInstructionsOfTheFirstProcessor) {
  EXPECT_THAT(InstructionSets("processor\t: 0\nflags\t\t: fpu avx2 sse4_2 tsc\n"
                              "processor\t: 1\nflags\t\t: aes\n"),
              ElementsAre("avx2", "sse4_2"));
  EXPECT_THAT(InstructionSets(""), IsEmpty());
}

TEST(HostFactsTest, TellsOfThisHost) {
  const TempDir dir;
  const std::string criu = dir.Join("criu");
  std::ofstream(criu) << "#!/bin/sh\necho Version: 4.1.1\necho GitID: 0\n";
  chmod(criu.c_str(), 0755);
  const v1::HostFacts facts = GatherHostFacts(criu);
  EXPECT_EQ(facts.criu_version(), "4.1.1");
  EXPECT_NE(facts.kernel(), "");
  EXPECT_GT(facts.available_memory_bytes(), 1u << 20);
  EXPECT_GT(facts.max_open_files(), 0u);
}

TEST(HostFactsTest, ACriuThatDoesNotStartHasNoVersion) {
  EXPECT_EQ(GatherHostFacts("/bin/false").criu_version(), "");
}

TEST(HostFactsTest, WhatIsMappedAsAProgramIsFound) {
  ASSERT_OK_AND_ASSIGN(const auto files, MappedFiles({getpid()}));
  EXPECT_THAT(files, Contains(Property(&v1::PrepareRequest::File::path,
                                       HasSubstr("libc.so"))));
  EXPECT_THAT(MappedFiles({1 << 22}).status(),
              StatusIs(absl::StatusCode::kNotFound));
}

class ObstaclesTest : public ::testing::Test {
 protected:
  ObstaclesTest() {
    there_.set_criu_version("4.1.1");
    there_.set_architecture("x86_64");
    there_.add_cpu_flags("avx2");
    there_.set_available_memory_bytes(2 << 20);
    *request_.mutable_source() = there_;
    request_.set_memory_bytes(1 << 20);
  }
  v1::HostFacts there_;
  v1::PrepareRequest request_;
};

TEST_F(ObstaclesTest, TheSameHostIsNone) {
  EXPECT_THAT(ObstaclesAt(there_, request_), IsEmpty());
}

TEST_F(ObstaclesTest, EachIsToldWithWhatToDo) {
  request_.mutable_source()->add_cpu_flags("avx512f");
  request_.mutable_source()->set_criu_version("3.17.1");
  request_.set_memory_bytes(3 << 20);
  v1::PrepareRequest::File* file = request_.add_files();
  file->set_path("/nowhere/libx.so");
  file = request_.add_files();
  file->set_path("/bin/sh");
  file->set_size(1);
  EXPECT_THAT(
      ObstaclesAt(there_, request_),
      ElementsAre(HasSubstr("4.1.1 there, and 3.17.1 here"),
                  HasSubstr("lacks avx512f"), HasSubstr("3 are needed"),
                  HasSubstr("not there"), HasSubstr("and 1 at the source")));
}

TEST_F(ObstaclesTest, AHostWithoutCriuCannotTakeIt) {
  there_.clear_criu_version();
  EXPECT_THAT(ObstaclesAt(there_, request_), ElementsAre(HasSubstr("--criu")));
}

}  // namespace
}  // namespace pagelift
