#include "lib/http2/first_bytes.h"

#include <algorithm>

#include "absl/strings/string_view.h"

namespace pagelift {
namespace {

// RFC 9113, sections 3.4, 4.1, 6.5.
constexpr absl::string_view kMagic = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr size_t kFrameHeader = 9;
constexpr size_t kSettingBytes = 6;
constexpr unsigned kSettingsFrame = 4;

unsigned At(ByteSpan bytes, size_t i) {
  return std::to_integer<unsigned>(bytes[i]);
}

}  // namespace

FirstBytes JudgeFirstBytes(ByteSpan bytes) {
  const size_t magic = std::min(bytes.size(), kMagic.size());
  if (!std::equal(bytes.begin(), bytes.begin() + magic,
                  BytesOf(kMagic).begin())) {
    return FirstBytes::kOther;
  }
  if (bytes.size() < kMagic.size() + kFrameHeader) return FirstBytes::kTooFew;
  bytes.remove_prefix(kMagic.size());
  const size_t length =
      size_t{At(bytes, 0)} << 16 | At(bytes, 1) << 8 | At(bytes, 2);
  const bool settings = At(bytes, 3) == kSettingsFrame && At(bytes, 4) == 0;
  if (!settings || length % kSettingBytes != 0 ||
      kMagic.size() + kFrameHeader + length > kMostFirstBytes) {
    return FirstBytes::kOther;
  }
  bytes.remove_prefix(kFrameHeader);
  const ByteSpan came = bytes.first(std::min(length, bytes.size()));
  for (size_t i = 0; i + kSettingBytes <= came.size(); i += kSettingBytes) {
    const unsigned id = At(came, i) << 8 | At(came, i + 1);
    const uint32_t value = At(came, i + 2) << 24 | At(came, i + 3) << 16 |
                           At(came, i + 4) << 8 | At(came, i + 5);
    if (id == kSingleCallSetting && value == 1) return FirstBytes::kSingleCall;
  }
  return came.size() == length ? FirstBytes::kOther : FirstBytes::kTooFew;
}

}  // namespace pagelift
