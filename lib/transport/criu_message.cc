#include "lib/transport/criu_message.h"

#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/base/log.h"

namespace pagelift {
namespace {

enum Command : uint32_t {
  kAddWithFlags = 6,
  kGet = 7,
  kClose = 0x1023,
  kForceClose = 0x1024,
};
constexpr uint32_t kCommandMask = 0xffff;
constexpr int kFlagsShift = 16;
constexpr uint32_t kPresent = 4;  // Of the flags: contents follow.

constexpr uint64_t kAddressLimit = uint64_t{1} << 57;

// Where the fields lie.
constexpr size_t kCommandAt = 0;
constexpr size_t kPagesAt = 8;
constexpr size_t kAddressAt = 16;
constexpr size_t kIdAt = 24;

template <typename Number>
void Put(Number value, size_t at, CriuMessage* message) {
  for (size_t i = 0; i < sizeof(Number); ++i) {
    (*message)[at + i] = static_cast<std::byte>(value >> (8 * i));
  }
}

template <typename Number>
Number Get(absl::Span<const std::byte> bytes, size_t at) {
  Number value = 0;
  for (size_t i = 0; i < sizeof(Number); ++i) {
    value |= static_cast<Number>(bytes[at + i]) << (8 * i);
  }
  return value;
}

}  // namespace

CriuMessage EncodeCriuGet(const CriuPages& pages) {
  CriuMessage message = {};
  Put<uint32_t>(kGet, kCommandAt, &message);
  Put<uint64_t>(pages.pages.count.raw(), kPagesAt, &message);
  Put<uint64_t>(AddressOf(pages.pages.first), kAddressAt, &message);
  Put<uint64_t>(static_cast<uint64_t>(pages.pid), kIdAt, &message);
  return message;
}

CriuMessage EncodeCriuClose() {
  CriuMessage message = {};
  Put<uint32_t>(kClose, kCommandAt, &message);
  return message;
}

CriuMessage EncodeCriuForceClose() {
  CriuMessage message = {};
  Put<uint32_t>(kForceClose, kCommandAt, &message);
  return message;
}

absl::StatusOr<CriuPages> DecodeCriuReply(const CriuMessage& header) {
  const uint32_t command = Get<uint32_t>(header, kCommandAt);
  if ((command & kCommandMask) != kAddWithFlags ||
      ((command >> kFlagsShift) & kPresent) == 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("command %#x is not that of pages", command));
  }
  const uint64_t count = Get<uint64_t>(header, kPagesAt);
  const uint64_t address = Get<uint64_t>(header, kAddressAt);
  const uint64_t pid = Get<uint64_t>(header, kIdAt);
  if (pid == 0 || pid > std::numeric_limits<int32_t>::max()) {
    return absl::InvalidArgumentError(absl::StrCat("pages of task ", pid));
  }
  if (address % kPageSize != 0 || address >= kAddressLimit || count == 0 ||
      count > (kAddressLimit - address) / kPageSize) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%d pages at address %#x", count, address));
  }
  return CriuPages{static_cast<int32_t>(pid),
                   {PageContaining(address), PageCount(count)}};
}

int32_t DecodeCriuEndStatus(absl::Span<const std::byte> status) {
  CHECK(status.size() == kCriuEndStatusSize);
  return static_cast<int32_t>(Get<uint32_t>(status, 0));
}

}  // namespace pagelift
