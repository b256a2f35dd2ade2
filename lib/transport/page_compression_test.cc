#include "lib/transport/page_compression.h"

#include <zstd.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/byte_span.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/memory/page.h"

namespace pagelift {
namespace {

using ::testing::IsEmpty;
using ::testing::Not;

constexpr PageCount kPages{8};
constexpr size_t kRoom = 256 << 10;

std::string Text(PageCount pages) {
  std::string text;
  for (int i = 0; text.size() < pages.bytes(); ++i) {
    text += "key:" + std::to_string(i) + " value ";
  }
  text.resize(pages.bytes());
  return text;
}

std::string Noise(PageCount pages) {
  std::mt19937_64 random(1);
  std::string noise(pages.bytes(), '\0');
  for (size_t at = 0; at < noise.size(); at += sizeof(uint64_t)) {
    const uint64_t word = random();
    std::memcpy(&noise[at], &word, sizeof(word));
  }
  return noise;
}

std::string Str(ByteSpan bytes) {
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

std::string FrameOf(const std::string& contents) {
  std::string frame(ZSTD_compressBound(contents.size()), '\0');
  frame.resize(ZSTD_compress(&frame[0], frame.size(), contents.data(),
                             contents.size(), 1));
  return frame;
}

class PageCompressionTest : public ::testing::Test {
 protected:
  absl::Status Refusal(const std::string& frame, PageCount count = kPages) {
    return decompressor_.Decompress({BytesOf(frame)}, count).status();
  }

  PageCompressor compressor_{kRoom};
  PageDecompressor decompressor_;
};

TEST_F(PageCompressionTest, PagesComeBackHoweverTheFrameIsCut) {
  const std::string text = Text(kPages);
  const std::string frame = Str(compressor_.Compress(BytesOf(text)));
  ASSERT_THAT(frame, Not(IsEmpty()));
  EXPECT_LT(frame.size(), text.size() / 2);
  for (size_t cut : {size_t{1}, size_t{100}, frame.size()}) {
    std::vector<ByteSpan> pieces;
    for (size_t at = 0; at < frame.size(); at += cut) {
      pieces.push_back(
          BytesOf(frame).subspan(at, std::min(cut, frame.size() - at)));
    }
    ASSERT_OK_AND_ASSIGN(ByteSpan pages,
                         decompressor_.Decompress(pieces, kPages));
    EXPECT_EQ(Str(pages), text);
  }
}

TEST_F(PageCompressionTest, WhatWasCompressedStaysUntilCleared) {
  std::vector<std::string> texts;
  std::vector<ByteSpan> frames;
  for (uint64_t i = 1; i <= 8; ++i) {
    texts.push_back(Text(PageCount(i)));
    frames.push_back(compressor_.Compress(BytesOf(texts.back())));
  }
  for (uint64_t i = 1; i <= 8; ++i) {
    ASSERT_OK_AND_ASSIGN(ByteSpan pages, decompressor_.Decompress(
                                             {frames[i - 1]}, PageCount(i)));
    EXPECT_EQ(Str(pages), texts[i - 1]);
  }
}

TEST_F(PageCompressionTest, WithoutRoomPagesGoAsTheyAre) {
  PageCompressor small(1000);
  const std::string text = Text(PageCount(16));
  size_t used = 0;
  for (int i = 0; i < 100; ++i) used += small.Compress(BytesOf(text)).size();
  EXPECT_LE(used, 1000u);
  small.Clear();
  const std::string plain(PageCount(1).bytes(), 'x');
  for (int i = 0; i < 20; ++i) {
    if (!small.Compress(BytesOf(plain)).empty()) return;
  }
  FAIL() << "it never tries again";
}

TEST_F(PageCompressionTest, NoiseIsLeftAloneAndTriedLessAndLessOften) {
  const std::string noise = Noise(kPages);
  for (int i = 0; i < 100; ++i) {
    EXPECT_THAT(compressor_.Compress(BytesOf(noise)), IsEmpty());
  }
  // At most sixteen batches go by before text is found.
  const std::string text = Text(kPages);
  int passed = 0;
  while (compressor_.Compress(BytesOf(text)).empty()) ++passed;
  EXPECT_LE(passed, 16);
  EXPECT_THAT(compressor_.Compress(BytesOf(text)), Not(IsEmpty()));
}

TEST_F(PageCompressionTest, RefusesWhatIsNotOneFrameOfSoManyPages) {
  const std::string frame = FrameOf(Text(kPages));
  EXPECT_OK(Refusal(frame));
  EXPECT_THAT(Refusal(frame, kPages + PageCount(1)),
              StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(Refusal(frame, kPages - PageCount(1)),
              StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(Refusal(frame.substr(0, frame.size() - 1)),
              StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(Refusal(frame + "x"), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(Refusal(frame + frame), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(Refusal(Noise(kPages)), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(Refusal(""), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_OK(Refusal(frame));  // And goes on.
}

TEST_F(PageCompressionTest, AFrameMayNotAskForMuchMemory) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 27);
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  const std::string text = Text(kPages);
  std::string frame(ZSTD_compressBound(text.size()), '\0');
  // Unknown length: the header then has the window.
  ZSTD_outBuffer out = {&frame[0], frame.size(), 0};
  ZSTD_inBuffer in = {text.data(), text.size(), 0};
  ASSERT_EQ(
      ZSTD_isError(ZSTD_compressStream2(context, &out, &in, ZSTD_e_continue)),
      0u);
  ASSERT_EQ(ZSTD_compressStream2(context, &out, &in, ZSTD_e_end), 0u);
  frame.resize(out.pos);
  ZSTD_freeCCtx(context);
  EXPECT_THAT(Refusal(frame), StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace pagelift
