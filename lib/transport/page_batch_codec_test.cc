#include "lib/transport/page_batch_codec.h"

#include <cstring>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/testing/status_matchers.h"
#include "pagelift/v1/page_server.pb.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

ByteSpan AsBytes(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

std::string Joined(const DecodedPageBatch& batch) {
  std::string all;
  for (ByteSpan piece : batch.payload) {
    all.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  }
  return all;
}

// The message in pieces of `size` bytes.
std::vector<ByteSpan> Cut(const std::string& message, size_t size) {
  std::vector<ByteSpan> pieces;
  for (size_t at = 0; at < message.size(); at += size) {
    pieces.push_back(
        AsBytes(message).subspan(at, std::min(size, message.size() - at)));
  }
  return pieces;
}

v1::PageBatch TwoPages() {
  v1::PageBatch proto;
  proto.set_id(300);
  proto.set_first_page(uint64_t{1} << 40);
  proto.set_page_count(2);
  std::string pages(2 * kPageSize, 'x');
  pages[5000] = 'y';
  proto.set_checksum(0x0123456789abcdef);
  proto.set_pages(pages);
  return proto;
}

TEST(PageBatchCodecTest, EncodesWhatProtocolBuffersEncode) {
  v1::PageBatch proto = TwoPages();
  PageBatchHeader header;
  header.id = proto.id();
  header.range = {ImagePage(proto.first_page()), PageCount(2)};
  header.checksum = proto.checksum();
  EXPECT_EQ(EncodePageBatchPrefix(header, proto.pages().size()) + proto.pages(),
            proto.SerializeAsString());
}

TEST(PageBatchCodecTest, EncodesZeroRunsAndErrorsLikeProtocolBuffers) {
  v1::PageBatch zero;
  zero.set_id(1);
  zero.set_page_count(700);
  zero.set_encoding(v1::ENCODING_ZERO);
  PageBatchHeader header;
  header.id = 1;
  header.range = {ImagePage(0), PageCount(700)};
  header.zero = true;
  EXPECT_EQ(EncodePageBatchPrefix(header, 0), zero.SerializeAsString());

  v1::PageBatch error;
  error.set_id(2);
  error.set_first_page(9);
  error.set_page_count(1);
  error.set_error_code(static_cast<int>(absl::StatusCode::kDataLoss));
  error.set_error_message("hole");
  PageBatchHeader failed;
  failed.id = 2;
  failed.range = {ImagePage(9), PageCount(1)};
  failed.error = absl::DataLossError("hole");
  EXPECT_EQ(EncodePageBatchPrefix(failed, 0), error.SerializeAsString());
}

TEST(PageBatchCodecTest, EncodesFramesLikeProtocolBuffersAndDecodesThem) {
  v1::PageBatch proto = TwoPages();
  proto.set_encoding(v1::ENCODING_ZSTD);
  proto.set_pages("a frame");
  PageBatchHeader header;
  header.id = proto.id();
  header.range = {ImagePage(proto.first_page()), PageCount(2)};
  header.compressed = true;
  header.checksum = proto.checksum();
  const std::string message =
      EncodePageBatchPrefix(header, proto.pages().size()) + proto.pages();
  EXPECT_EQ(message, proto.SerializeAsString());
  ASSERT_OK_AND_ASSIGN(DecodedPageBatch batch,
                       DecodePageBatch({AsBytes(message)}));
  EXPECT_TRUE(batch.header.compressed);
  EXPECT_EQ(Joined(batch), "a frame");
}

TEST(PageBatchCodecTest, RefusesFramesOfTooManyPagesOrOfNone) {
  v1::PageBatch proto = TwoPages();
  proto.set_encoding(v1::ENCODING_ZSTD);
  for (uint64_t pages : {uint64_t{513}, uint64_t{1} << 52, uint64_t{2}}) {
    proto.set_page_count(pages);
    const std::string message = proto.SerializeAsString();
    EXPECT_THAT(
        DecodePageBatch({AsBytes(message)}),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("frame")));
  }
  proto.clear_pages();
  const std::string message = proto.SerializeAsString();
  EXPECT_FALSE(DecodePageBatch({AsBytes(message)}).ok());
}

TEST(PageBatchCodecTest, DecodesAMessageCutAnywhere) {
  v1::PageBatch proto = TwoPages();
  std::string message = proto.SerializeAsString();
  for (size_t size : {size_t{1}, size_t{7}, size_t{4096}, message.size()}) {
    std::vector<ByteSpan> pieces = Cut(message, size);
    ASSERT_OK_AND_ASSIGN(DecodedPageBatch batch, DecodePageBatch(pieces));
    EXPECT_EQ(batch.header.id, 300u);
    EXPECT_EQ(batch.header.range,
              (ImageRange{ImagePage(uint64_t{1} << 40), PageCount(2)}));
    EXPECT_EQ(Joined(batch), proto.pages());
    EXPECT_EQ(batch.header.checksum, proto.checksum());
  }
}

TEST(PageBatchCodecTest, AnErrorComesBackAsTheStatusItWas) {
  PageBatchHeader header;
  header.range = {ImagePage(4), PageCount(1)};
  header.error = absl::DataLossError("hole at page 4");
  std::string message = EncodePageBatchPrefix(header, 0);
  ASSERT_OK_AND_ASSIGN(DecodedPageBatch batch,
                       DecodePageBatch({AsBytes(message)}));
  EXPECT_THAT(batch.header.error,
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("page 4")));
}

TEST(PageBatchCodecTest, SkipsFieldsOfALaterVersion) {
  std::string message = TwoPages().SerializeAsString();
  message += std::string("\xa0\x06\x01", 3);  // Field 100, varint.
  message += std::string(
      "\xaa\x06\x02"
      "ab",
      5);  // Field 101, bytes.
  EXPECT_OK(DecodePageBatch({AsBytes(message)}));
}

TEST(PageBatchCodecTest, RefusesLengthsThatDoNotFit) {
  v1::PageBatch proto = TwoPages();
  proto.set_page_count(3);
  std::string message = proto.SerializeAsString();
  EXPECT_THAT(
      DecodePageBatch({AsBytes(message)}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("does not fit")));
  // A count whose bytes wrap to the length that is there.
  proto.set_page_count((uint64_t{1} << 52) + 2);
  message = proto.SerializeAsString();
  EXPECT_THAT(DecodePageBatch({AsBytes(message)}),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(PageBatchCodecTest, RefusesARangeThatWraps) {
  v1::PageBatch proto;
  proto.set_first_page(~uint64_t{0});
  proto.set_page_count(2);
  proto.set_encoding(v1::ENCODING_ZERO);
  std::string message = proto.SerializeAsString();
  EXPECT_THAT(DecodePageBatch({AsBytes(message)}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("wraps")));
}

TEST(PageBatchCodecTest, RefusesEveryTruncation) {
  std::string message = TwoPages().SerializeAsString();
  for (size_t size = 0; size < message.size(); size += 61) {
    std::string cut = message.substr(0, size);
    EXPECT_FALSE(DecodePageBatch({AsBytes(cut)}).ok()) << size;
  }
}

}  // namespace
}  // namespace pagelift
