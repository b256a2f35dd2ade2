#include "lib/base/json_string.h"

#include <string>

#include "gtest/gtest.h"

namespace pagelift {
namespace {

TEST(JsonStringTest, QuotesAndEscapes) {
  EXPECT_EQ(JsonString("plain"), "\"plain\"");
  EXPECT_EQ(JsonString("a\"b\\c\n"), "\"a\\\"b\\\\c\\u000a\"");
}

TEST(JsonStringTest, KeepsUtf8AndReplacesWhatIsNot) {
  EXPECT_EQ(JsonString("\xc3\xbc\xe2\x82\xac"), "\"\xc3\xbc\xe2\x82\xac\"");
  EXPECT_EQ(JsonString("a\xff"
                       "b"),
            "\"a\\ufffdb\"");
  EXPECT_EQ(JsonString("\xe2\x82"), "\"\\ufffd\\ufffd\"");  // Cut short.
  EXPECT_EQ(JsonString("\xed\xa0\x80").substr(0, 7),
            "\"\\ufffd");  // Surrogate.
}

}  // namespace
}  // namespace pagelift
