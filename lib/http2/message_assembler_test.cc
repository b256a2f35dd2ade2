#include "lib/http2/message_assembler.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"

namespace pagelift {
namespace {

using ::testing::ElementsAre;

std::string Message(const std::string& body) {
  std::string out(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(body.size() >> shift));
  }
  return out + body;
}

std::vector<std::string> TakeAll(MessageAssembler& assembler) {
  std::vector<std::string> all;
  while (assembler.has_message()) {
    all.push_back(Joined(assembler.front()));
    assembler.Pop();
  }
  return all;
}

TEST(MessageAssemblerTest, MessagesComeOutHoweverTheyAreCut) {
  const std::string stream =
      Message("first") + Message("") + Message("the third one");
  for (size_t cut = 1; cut <= stream.size(); ++cut) {
    MessageAssembler assembler(100);
    for (size_t at = 0; at < stream.size(); at += cut) {
      ASSERT_OK(assembler.Add(
          BytesOf(stream).subspan(at, std::min(cut, stream.size() - at))));
    }
    EXPECT_THAT(TakeAll(assembler), ElementsAre("first", "", "the third one"));
    EXPECT_FALSE(assembler.holds_bytes());
    EXPECT_EQ(assembler.missing(), 0u);
  }
}

TEST(MessageAssemblerTest, CopiesNothing) {
  const std::string stream = Message("body");
  MessageAssembler assembler(100);
  ASSERT_OK(assembler.Add(BytesOf(stream)));
  ASSERT_EQ(assembler.front().size(), 1u);
  EXPECT_EQ(assembler.front()[0].data(), BytesOf(stream).data() + 5);
}

TEST(MessageAssemblerTest, KnowsHowMuchIsMissing) {
  const std::string stream = Message(std::string(50, 'x'));
  MessageAssembler assembler(100);
  ASSERT_OK(assembler.Add(BytesOf(stream).first(2)));
  EXPECT_EQ(assembler.missing(), 3u);
  EXPECT_FALSE(assembler.holds_bytes());
  ASSERT_OK(assembler.Add(BytesOf(stream).subspan(2, 13)));
  EXPECT_EQ(assembler.missing(), 40u);
  EXPECT_TRUE(assembler.holds_bytes());
}

TEST(MessageAssemblerTest, KeepsAPartWhoseBytesGo) {
  std::string stream = Message("abcdefghij") + Message("next");
  MessageAssembler assembler(100);
  // Twice, so that what was kept is kept again.
  for (size_t size : {8, 4}) {
    std::string piece = stream.substr(0, size);
    stream.erase(0, size);
    ASSERT_OK(assembler.Add(BytesOf(piece)));
    assembler.KeepPart();
    piece.assign(size, '#');
  }
  ASSERT_OK(assembler.Add(BytesOf(stream)));
  EXPECT_THAT(TakeAll(assembler), ElementsAre("abcdefghij", "next"));
}

TEST(MessageAssemblerTest, RefusesWhatIsTooLongOrCompressed) {
  MessageAssembler assembler(4);
  EXPECT_OK(assembler.Add(BytesOf(Message("1234"))));
  EXPECT_THAT(assembler.Add(BytesOf(Message("12345"))),
              StatusIs(absl::StatusCode::kResourceExhausted));
  MessageAssembler other(4);
  EXPECT_THAT(other.Add(BytesOf(absl::string_view("\1\0\0\0\0", 5))),
              StatusIs(absl::StatusCode::kUnimplemented));
}

}  // namespace
}  // namespace pagelift
