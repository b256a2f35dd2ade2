#include "lib/transport/page_compression.h"

#include <zstd.h>

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lib/base/log.h"

namespace pagelift {
namespace {

// The higher ones cost more time than a link saves that is fast enough to be
// used for this.
constexpr int kLevel = 1;
// What saves less than an eighth is not worth its decompression.
constexpr size_t kWorthOfEight = 7;
constexpr int kMostPassedOver = 16;
constexpr int kMostWindowLog = 21;
static_assert(kMostCompressedPages.bytes() == size_t{1} << kMostWindowLog);

absl::Status NotPages(absl::string_view why) {
  return absl::DataLossError(absl::StrCat("compressed pages: ", why));
}

}  // namespace

PageCompressor::PageCompressor(size_t room)
    : room_(room), buffer_(new std::byte[room]), context_(ZSTD_createCCtx()) {
  CHECK(context_ != nullptr) << "no memory for compression";
}

PageCompressor::~PageCompressor() { ZSTD_freeCCtx(context_); }

ByteSpan PageCompressor::Compress(ByteSpan pages) {
  if (passes_over_ > 0) {
    --passes_over_;
    return {};
  }
  const size_t most = std::min(pages.size() / 8 * kWorthOfEight, room_ - used_);
  const size_t size = ZSTD_compressCCtx(context_, buffer_.get() + used_, most,
                                        pages.data(), pages.size(), kLevel);
  if (ZSTD_isError(size) != 0) {  // It is longer.
    passes_over_ = would_pass_;
    would_pass_ = std::min(2 * would_pass_, kMostPassedOver);
    return {};
  }
  would_pass_ = 1;
  const ByteSpan frame(buffer_.get() + used_, size);
  used_ += size;
  return frame;
}

PageDecompressor::PageDecompressor() : context_(ZSTD_createDCtx()) {
  CHECK(context_ != nullptr) << "no memory for decompression";
  // A frame may ask for memory to look back at: no more than it holds itself.
  const size_t set =
      ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, kMostWindowLog);
  CHECK(ZSTD_isError(set) == 0) << ZSTD_getErrorName(set);
}

PageDecompressor::~PageDecompressor() { ZSTD_freeDCtx(context_); }

absl::StatusOr<ByteSpan> PageDecompressor::Decompress(
    absl::Span<const ByteSpan> frame, PageCount count) {
  CHECK(!(kMostCompressedPages < count));
  if (buffer_bytes_ < count.bytes()) {
    buffer_bytes_ = count.bytes();
    buffer_.reset(new std::byte[buffer_bytes_]);
  }
  ZSTD_DCtx_reset(context_, ZSTD_reset_session_only);
  ZSTD_outBuffer pages = {buffer_.get(), count.bytes(), 0};
  bool whole = false;
  for (ByteSpan piece : frame) {
    ZSTD_inBuffer input = {piece.data(), piece.size(), 0};
    while (input.pos < input.size) {
      if (whole) return NotPages("more than a frame");
      const size_t before = input.pos + pages.pos;
      const size_t left = ZSTD_decompressStream(context_, &pages, &input);
      if (ZSTD_isError(left) != 0) return NotPages(ZSTD_getErrorName(left));
      whole = left == 0;
      if (!whole && input.pos + pages.pos == before) {
        return NotPages("more than was asked for");
      }
    }
  }
  if (!whole) return NotPages("the end is missing");
  if (pages.pos != count.bytes()) return NotPages("fewer than was asked for");
  return ByteSpan(buffer_.get(), count.bytes());
}

}  // namespace pagelift
