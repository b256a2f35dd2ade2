#include "lib/transport/criu_message.h"

#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"

namespace pagelift {
namespace {

enum Command : uint16_t {
  kAddWithFlags = 6,
  kGet = 7,
  kClose = 0x1023,
};
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

CriuFields FieldsOf(const CriuMessage& message) {
  const uint32_t command = Get<uint32_t>(message, kCommandAt);
  CriuFields fields;
  fields.command = static_cast<uint16_t>(command);
  fields.flags = static_cast<uint16_t>(command >> kFlagsShift);
  fields.pages = Get<uint64_t>(message, kPagesAt);
  fields.address = Get<uint64_t>(message, kAddressAt);
  fields.id = Get<uint64_t>(message, kIdAt);
  return fields;
}

CriuMessage EncodeCriuFields(const CriuFields& fields) {
  CriuMessage message = {};
  Put<uint32_t>(fields.command | uint32_t{fields.flags} << kFlagsShift,
                kCommandAt, &message);
  Put<uint64_t>(fields.pages, kPagesAt, &message);
  Put<uint64_t>(fields.address, kAddressAt, &message);
  Put<uint64_t>(fields.id, kIdAt, &message);
  return message;
}

absl::StatusOr<PageRange> PagesOf(const CriuFields& fields) {
  if (fields.address % kPageSize != 0 || fields.address >= kAddressLimit ||
      fields.pages == 0 ||
      fields.pages > (kAddressLimit - fields.address) / kPageSize) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%d pages at address %#x", fields.pages, fields.address));
  }
  return PageRange{PageContaining(fields.address), PageCount(fields.pages)};
}

CriuMessage EncodeCriuGet(const CriuPages& pages) {
  CriuFields fields;
  fields.command = kGet;
  fields.pages = pages.pages.count.raw();
  fields.address = AddressOf(pages.pages.first);
  fields.id = static_cast<uint64_t>(pages.pid);
  return EncodeCriuFields(fields);
}

CriuMessage EncodeCriuClose() {
  CriuFields fields;
  fields.command = kClose;
  return EncodeCriuFields(fields);
}

absl::StatusOr<CriuPages> DecodeCriuReply(const CriuMessage& header) {
  const CriuFields fields = FieldsOf(header);
  if (fields.command != kAddWithFlags || (fields.flags & kPresent) == 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("command %#x with flags %#x is not that of pages",
                        fields.command, fields.flags));
  }
  if (fields.id == 0 || fields.id > std::numeric_limits<int32_t>::max()) {
    return absl::InvalidArgumentError(
        absl::StrCat("pages of task ", fields.id));
  }
  ASSIGN_OR_RETURN(const PageRange pages, PagesOf(fields));
  return CriuPages{static_cast<int32_t>(fields.id), pages};
}

int32_t DecodeCriuEndStatus(absl::Span<const std::byte> status) {
  CHECK(status.size() == kCriuEndStatusSize);
  return static_cast<int32_t>(Get<uint32_t>(status, 0));
}

}  // namespace pagelift
