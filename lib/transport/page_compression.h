#ifndef PAGELIFT_LIB_TRANSPORT_PAGE_COMPRESSION_H_
#define PAGELIFT_LIB_TRANSPORT_PAGE_COMPRESSION_H_

#include <cstddef>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lib/base/byte_span.h"
#include "lib/memory/page.h"

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

namespace pagelift {

// As much as a compressed batch may hold: what a batch may have at all.
inline constexpr PageCount kMostCompressedPages{512};

// Compresses batches of pages, one after the other into a buffer of its own,
// and leaves alone what hardly gets shorter: after such a batch it does not
// look at the next one, two, and so on up to sixteen.
//
// Thread-compatible.
class PageCompressor {
 public:
  // For up to `room` bytes between two calls of Clear().
  explicit PageCompressor(size_t room);
  ~PageCompressor();

  // A frame of Zstandard, in the buffer until Clear(); empty if `pages` had
  // better go as they are.
  ByteSpan Compress(ByteSpan pages);

  // Nobody needs any more what Compress() returned.
  void Clear() { used_ = 0; }

 private:
  const size_t room_;
  const std::unique_ptr<std::byte[]> buffer_;
  ZSTD_CCtx_s* const context_;
  size_t used_ = 0;
  int passes_over_ = 0;  // So many batches.
  int would_pass_ = 1;   // After the next one in vain.
};

// The other end. What it is given may be hostile. Thread-compatible.
class PageDecompressor {
 public:
  PageDecompressor();
  ~PageDecompressor();

  // The pages of a frame that came in pieces; valid until the next call.
  // kDataLoss unless it is one whole frame of exactly `count` pages.
  // REQUIRES: `count` is not more than kMostCompressedPages.
  absl::StatusOr<ByteSpan> Decompress(absl::Span<const ByteSpan> frame,
                                      PageCount count);

 private:
  ZSTD_DCtx_s* const context_;
  std::unique_ptr<std::byte[]> buffer_;
  size_t buffer_bytes_ = 0;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_PAGE_COMPRESSION_H_
