#include "lib/transport/page_batch_codec.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>

#include "lib/base/status_macros.h"
#include "lib/transport/page_compression.h"

namespace pagelift {
namespace {

// Field numbers and wire types of pagelift.v1.PageBatch.
enum Field : uint32_t {
  kId = 1,
  kFirstPage = 2,
  kPageCount = 3,
  kEncoding = 4,
  kChecksum = 5,
  kErrorCode = 6,
  kErrorMessage = 7,
  kPages = 15,
};
enum WireType : uint32_t {
  kVarint = 0,
  kFixed64 = 1,
  kBytes = 2,
  kFixed32 = 5
};

constexpr uint64_t kEncodingRaw = 0;
constexpr uint64_t kEncodingZero = 1;
constexpr uint64_t kEncodingZstd = 2;
constexpr size_t kMaxErrorMessage = 4096;

void AppendVarint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

void AppendTag(std::string& out, Field field, WireType type) {
  AppendVarint(out, static_cast<uint64_t>(field) << 3 | type);
}

void AppendVarintField(std::string& out, Field field, uint64_t value) {
  if (value == 0) return;  // proto3 leaves defaults out.
  AppendTag(out, field, kVarint);
  AppendVarint(out, value);
}

// Reads on across the pieces of a message.
class Cursor {
 public:
  explicit Cursor(absl::Span<const ByteSpan> pieces) : pieces_(pieces) {
    SkipEmpty();
  }

  bool done() const { return piece_ == pieces_.size(); }

  std::optional<uint64_t> Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      if (done()) return std::nullopt;
      uint64_t byte = static_cast<uint64_t>(pieces_[piece_][offset_]);
      Advance(1);
      if (shift == 63 && byte > 1) return std::nullopt;
      value |= (byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    return std::nullopt;
  }

  std::optional<uint64_t> Fixed64() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 8) {
      if (done()) return std::nullopt;
      value |= static_cast<uint64_t>(pieces_[piece_][offset_]) << shift;
      Advance(1);
    }
    return value;
  }

  // Calls `take` with the next `length` bytes, piece by piece; false if there
  // are fewer.
  template <typename Take>
  bool Bytes(uint64_t length, Take take) {
    while (length > 0) {
      if (done()) return false;
      ByteSpan rest = pieces_[piece_].subspan(offset_);
      size_t n = static_cast<size_t>(std::min<uint64_t>(length, rest.size()));
      take(rest.first(n));
      Advance(n);
      length -= n;
    }
    return true;
  }

 private:
  void Advance(size_t n) {
    offset_ += n;
    if (offset_ == pieces_[piece_].size()) {
      ++piece_;
      offset_ = 0;
      SkipEmpty();
    }
  }
  void SkipEmpty() {
    while (piece_ < pieces_.size() && pieces_[piece_].empty()) ++piece_;
  }

  absl::Span<const ByteSpan> pieces_;
  size_t piece_ = 0;
  size_t offset_ = 0;
};

absl::Status Malformed(const char* what) {
  return absl::InvalidArgumentError(std::string("malformed PageBatch: ") +
                                    what);
}

// What the fields say before they are judged together.
struct Fields {
  uint64_t first_page = 0;
  uint64_t page_count = 0;
  uint64_t encoding = kEncodingRaw;
  uint64_t error_code = 0;
  std::string error_message;
};

absl::Status CheckTogether(const Fields& fields, DecodedPageBatch& batch) {
  if (fields.page_count == 0) return Malformed("no pages");
  if (fields.first_page >
      std::numeric_limits<uint64_t>::max() - fields.page_count) {
    return Malformed("page range wraps around");
  }
  batch.header.range = {ImagePage(fields.first_page),
                        PageCount(fields.page_count)};
  if (fields.error_code != 0) {
    if (batch.payload_bytes != 0) return Malformed("an error with pages");
    uint64_t code = fields.error_code <= 16 ? fields.error_code : 2;
    batch.header.error =
        absl::Status(static_cast<absl::StatusCode>(code), fields.error_message);
    return absl::OkStatus();
  }
  if (fields.encoding == kEncodingZero) {
    if (batch.payload_bytes != 0) return Malformed("zero pages with contents");
    batch.header.zero = true;
    return absl::OkStatus();
  }
  if (fields.encoding == kEncodingZstd) {
    if (fields.page_count > kMostCompressedPages.raw()) {
      return Malformed("too many pages in a frame");
    }
    if (batch.payload_bytes == 0 ||
        batch.payload_bytes >= batch.header.range.count.bytes()) {
      return Malformed("a frame that is longer than its pages");
    }
    batch.header.compressed = true;
    return absl::OkStatus();
  }
  if (fields.encoding != kEncodingRaw) return Malformed("unknown encoding");
  if (fields.page_count > batch.payload_bytes / kPageSize ||
      fields.page_count * kPageSize != batch.payload_bytes) {
    return Malformed("length does not fit the number of pages");
  }
  return absl::OkStatus();
}

}  // namespace

uint64_t PageBatchHeader::encoding() const {
  if (zero) return kEncodingZero;
  return compressed ? kEncodingZstd : kEncodingRaw;
}

std::string EncodePageBatchPrefix(const PageBatchHeader& header,
                                  size_t payload_bytes) {
  std::string out;
  out.reserve(64);
  AppendVarintField(out, kId, header.id);
  AppendVarintField(out, kFirstPage, header.range.first.raw());
  AppendVarintField(out, kPageCount, header.range.count.raw());
  AppendVarintField(out, kEncoding, header.encoding());
  if (header.checksum != 0) {
    AppendTag(out, kChecksum, kFixed64);
    for (int shift = 0; shift < 64; shift += 8) {
      out.push_back(static_cast<char>(header.checksum >> shift));
    }
  }
  if (!header.error.ok()) {
    AppendVarintField(out, kErrorCode,
                      static_cast<uint64_t>(header.error.code()));
    absl::string_view message =
        header.error.message().substr(0, kMaxErrorMessage);
    AppendTag(out, kErrorMessage, kBytes);
    AppendVarint(out, message.size());
    out.append(message.data(), message.size());
  }
  if (payload_bytes > 0) {
    AppendTag(out, kPages, kBytes);
    AppendVarint(out, payload_bytes);
  }
  return out;
}

absl::StatusOr<DecodedPageBatch> DecodePageBatch(
    absl::Span<const ByteSpan> message) {
  DecodedPageBatch batch;
  Fields fields;
  Cursor cursor(message);
  while (!cursor.done()) {
    std::optional<uint64_t> tag = cursor.Varint();
    if (!tag.has_value()) return Malformed("tag");
    uint64_t field = *tag >> 3;
    std::optional<uint64_t> number;
    switch (*tag & 7) {
      case kVarint:
        number = cursor.Varint();
        if (!number.has_value()) return Malformed("varint");
        if (field == kId) batch.header.id = *number;
        if (field == kFirstPage) fields.first_page = *number;
        if (field == kPageCount) fields.page_count = *number;
        if (field == kEncoding) fields.encoding = *number;
        if (field == kErrorCode) fields.error_code = *number;
        break;
      case kFixed64:
        number = cursor.Fixed64();
        if (!number.has_value()) return Malformed("fixed64");
        if (field == kChecksum) batch.header.checksum = *number;
        break;
      case kFixed32:
        if (!cursor.Bytes(4, [](ByteSpan) {})) return Malformed("fixed32");
        break;
      case kBytes: {
        number = cursor.Varint();
        if (!number.has_value()) return Malformed("length");
        bool whole;
        if (field == kPages) {
          // The last one counts, as in Protocol Buffers.
          batch.payload.clear();
          batch.payload_bytes = 0;
          whole = cursor.Bytes(*number, [&](ByteSpan piece) {
            batch.payload.push_back(piece);
            batch.payload_bytes += piece.size();
          });
        } else if (field == kErrorMessage) {
          if (*number > kMaxErrorMessage) return Malformed("error message");
          fields.error_message.clear();
          whole = cursor.Bytes(*number, [&](ByteSpan piece) {
            fields.error_message.append(
                reinterpret_cast<const char*>(piece.data()), piece.size());
          });
        } else {
          whole = cursor.Bytes(*number, [](ByteSpan) {});
        }
        if (!whole) return Malformed("truncated");
        break;
      }
      default:
        return Malformed("wire type");
    }
  }
  RETURN_IF_ERROR(CheckTogether(fields, batch));
  return batch;
}

}  // namespace pagelift
