#ifndef PAGELIFT_LIB_TRANSPORT_CRIU_MESSAGE_H_
#define PAGELIFT_LIB_TRANSPORT_CRIU_MESSAGE_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lib/memory/page.h"

namespace pagelift {

// The messages of CRIU's page server, as its client sends and gets them: 32
// bytes, little endian, padding included:
//
//   u32 command (flags in the upper half)  u32 0  u64 pages  u64 address  u64
//   id
//
// Pages follow a reply. The message at the end is answered by an int32 instead.
inline constexpr size_t kCriuMessageSize = 32;
inline constexpr size_t kCriuEndStatusSize = 4;
using CriuMessage = std::array<std::byte, kCriuMessageSize>;

// The fields of a message, as they are.
struct CriuFields {
  uint16_t command = 0;
  uint16_t flags = 0;
  uint64_t pages = 0;
  uint64_t address = 0;
  uint64_t id = 0;
};
CriuFields FieldsOf(const CriuMessage& message);
CriuMessage EncodeCriuFields(const CriuFields& fields);

// kInvalidArgument unless they name at least one whole page below 2^57 bytes.
absl::StatusOr<PageRange> PagesOf(const CriuFields& fields);

// Pages of one task, by the pid that it had when it was dumped.
struct CriuPages {
  int32_t pid = 0;
  PageRange pages;

  friend bool operator==(const CriuPages& a, const CriuPages& b) {
    return a.pid == b.pid && a.pages == b.pages;
  }
};

// "Send me these."
CriuMessage EncodeCriuGet(const CriuPages& pages);
// "I need no more."
CriuMessage EncodeCriuClose();

// The pages that follow this header. kInvalidArgument if it does not announce
// at least one whole page of a task below 2^57 bytes.
absl::StatusOr<CriuPages> DecodeCriuReply(const CriuMessage& header);

// What answers the message at the end; 0 is well.
// REQUIRES: kCriuEndStatusSize bytes.
int32_t DecodeCriuEndStatus(absl::Span<const std::byte> status);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_CRIU_MESSAGE_H_
