#include "lib/transport/criu_sink_message.h"

#include <limits>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/base/status_macros.h"

namespace pagelift {
namespace {

enum Command : uint16_t {
  kAdd = 1,  // Up to CRIU 3.3.
  kHole = 2,
  kOpen = 3,
  kOpenAndAnswer = 4,
  kAskParent = 5,
  kAddWithFlags = 6,
  kGet = 7,
  kClose = 0x1023,
  kCloseOfInherited = 0x1024,
};

constexpr uint16_t kLazy = 2;
constexpr uint16_t kPresent = 4;

// The lowest byte of an object's id is its type.
constexpr int kTypeBits = 8;

std::optional<CriuObject::Kind> KindOf(uint8_t type) {
  switch (type) {
    case 1:
    case 10:  // These up to CRIU 3.4.
    case 11:
    case 16:
    case 17:
      return CriuObject::Kind::kTask;
    case 2:
    case 27:
    case 28:
    case 29:
    case 32:
    case 33:
    case 34:
      return CriuObject::Kind::kSharedMemory;
    default:
      return std::nullopt;
  }
}

absl::StatusOr<CriuObject> ObjectOf(const CriuFields& fields) {
  const std::optional<CriuObject::Kind> kind =
      KindOf(static_cast<uint8_t>(fields.id));
  const uint64_t id = fields.id >> kTypeBits;
  const bool is_task = kind == CriuObject::Kind::kTask;
  if (!kind.has_value() ||
      (is_task &&
       (id == 0 || id > uint64_t{std::numeric_limits<int32_t>::max()}))) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%#x is neither a task nor shared memory", fields.id));
  }
  return CriuObject{*kind, id};
}

absl::StatusOr<CriuSinkMessage> DecodeAdd(const CriuFields& fields,
                                          uint16_t flags) {
  CriuAdd add;
  ASSIGN_OR_RETURN(add.object, ObjectOf(fields));
  ASSIGN_OR_RETURN(add.pages, PagesOf(fields));
  if ((flags & ~kLazy) != kPresent) {
    return absl::InvalidArgumentError(absl::StrCat(
        "pages with flags ", flags,
        ": neither parent images nor pages without contents are taken here"));
  }
  add.lazy = (flags & kLazy) != 0;
  return add;
}

}  // namespace

absl::StatusOr<CriuSinkMessage> DecodeCriuSinkMessage(
    const CriuMessage& message) {
  const CriuFields fields = FieldsOf(message);
  switch (fields.command) {
    case kOpen:
    case kOpenAndAnswer: {
      ASSIGN_OR_RETURN(const CriuObject object, ObjectOf(fields));
      return CriuOpen{object, fields.command == kOpenAndAnswer};
    }
    case kAskParent: {
      ASSIGN_OR_RETURN(const CriuObject object, ObjectOf(fields));
      return CriuAskParent{object};
    }
    case kAdd:
      return DecodeAdd(fields, kPresent);
    case kAddWithFlags:
      return DecodeAdd(fields, fields.flags);
    case kClose:
    case kCloseOfInherited:
      return CriuClose{};
    case kGet:
      return absl::InvalidArgumentError(
          "asks for pages: they are had from the page server's own port");
    case kHole:
      return absl::InvalidArgumentError(
          "sends pages of a parent image: there are none here");
    default:
      return absl::InvalidArgumentError(
          absl::StrFormat("command %#x is none of a dump", fields.command));
  }
}

}  // namespace pagelift
