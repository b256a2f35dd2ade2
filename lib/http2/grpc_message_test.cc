#include "lib/http2/grpc_message.h"

#include <string>

#include "gtest/gtest.h"

namespace pagelift {
namespace {

TEST(GrpcMessageTest, EscapesWhatHeadersCannotHold) {
  EXPECT_EQ(EncodeGrpcMessage("no image \"a\": 100%\n\xc3\xa4"),
            "no image \"a\": 100%25%0A%C3%A4");
}

TEST(GrpcMessageTest, EveryByteComesBack) {
  std::string all;
  for (int c = 0; c < 256; ++c) all.push_back(static_cast<char>(c));
  EXPECT_EQ(DecodeGrpcMessage(EncodeGrpcMessage(all)), all);
}

TEST(GrpcMessageTest, LeavesWhatIsNoEscape) {
  for (const char* value : {"%", "%4", "100%", "%zz", "%4z"}) {
    EXPECT_EQ(DecodeGrpcMessage(value), value);
  }
  EXPECT_EQ(DecodeGrpcMessage("%41%"), "A%");
}

}  // namespace
}  // namespace pagelift
