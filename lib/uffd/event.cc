#include "lib/uffd/event.h"

#include <climits>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"
#include "lib/uffd/uffd_abi.h"

namespace pagelift {
namespace {

static_assert(sizeof(uffd_msg) == kEventMessageSize);

absl::StatusOr<PageRange> RangeBetween(absl::string_view event, uint64_t start,
                                       uint64_t limit) {
  if (start % kPageSize != 0 || limit % kPageSize != 0 || limit < start) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s event with the impossible range 0x%x..0x%x", event, start, limit));
  }
  return PagesOf(start, limit);
}

absl::StatusOr<Event> DecodeFault(uint64_t address, uint64_t flags,
                                  uint32_t thread) {
  const bool write_protect = (flags & UFFD_PAGEFAULT_FLAG_WP) != 0;
  const bool minor = (flags & UFFD_PAGEFAULT_FLAG_MINOR) != 0;
  if (write_protect && minor) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "fault at 0x%x that is write-protect and minor at once", address));
  }
  PageFault fault;
  fault.page = PageContaining(address);
  fault.address = address;
  fault.kind = write_protect ? FaultKind::kWriteProtect
               : minor       ? FaultKind::kMinor
                             : FaultKind::kMissing;
  fault.is_write = (flags & UFFD_PAGEFAULT_FLAG_WRITE) != 0;
  fault.thread = thread;
  return Event(fault);
}

absl::StatusOr<Event> DecodeFork(uint32_t descriptor) {
  if (descriptor > INT_MAX) {
    return absl::InvalidArgumentError(
        absl::StrCat("fork event with the impossible descriptor ", descriptor));
  }
  return Event(Forked{UniqueFd(static_cast<int>(descriptor))});
}

absl::StatusOr<Event> DecodeRemap(uint64_t from, uint64_t to, uint64_t length) {
  if (from + length < from || to + length < to || to % kPageSize != 0) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "remap event with the impossible ranges 0x%x to 0x%x, length 0x%x",
        from, to, length));
  }
  ASSIGN_OR_RETURN(PageRange range, RangeBetween("remap", from, from + length));
  return Event(Remapped{range, PageContaining(to)});
}

}  // namespace

absl::StatusOr<Event> DecodeEvent(absl::Span<const std::byte> message) {
  CHECK(message.size() == kEventMessageSize) << message.size();
  uffd_msg raw;
  std::memcpy(&raw, message.data(), sizeof(raw));
  switch (raw.event) {
    case UFFD_EVENT_PAGEFAULT:
      return DecodeFault(raw.arg.pagefault.address, raw.arg.pagefault.flags,
                         raw.arg.pagefault.feat.ptid);
    case UFFD_EVENT_FORK:
      return DecodeFork(raw.arg.fork.ufd);
    case UFFD_EVENT_REMAP:
      return DecodeRemap(raw.arg.remap.from, raw.arg.remap.to,
                         raw.arg.remap.len);
    case UFFD_EVENT_REMOVE: {
      ASSIGN_OR_RETURN(
          PageRange range,
          RangeBetween("remove", raw.arg.remove.start, raw.arg.remove.end));
      return Event(Removed{range});
    }
    case UFFD_EVENT_UNMAP: {
      ASSIGN_OR_RETURN(
          PageRange range,
          RangeBetween("unmap", raw.arg.remove.start, raw.arg.remove.end));
      return Event(Unmapped{range});
    }
    default:
      return absl::InvalidArgumentError(
          absl::StrFormat("unknown userfaultfd event 0x%02x", raw.event));
  }
}

std::optional<int> ChildNamedIn(absl::Span<const std::byte> message) {
  uffd_msg raw;
  std::memcpy(&raw, message.data(), sizeof(raw));
  if (raw.event != UFFD_EVENT_FORK || raw.arg.fork.ufd > INT_MAX) {
    return std::nullopt;
  }
  return static_cast<int>(raw.arg.fork.ufd);
}

void MakeVoid(absl::Span<std::byte> message) {
  uffd_msg raw = {};
  raw.event = UFFD_EVENT_PAGEFAULT;
  std::memcpy(message.data(), &raw, sizeof(raw));
}

absl::Status EventBuffer::Decode(size_t length) {
  events_.clear();
  absl::Status status;
  for (size_t at = 0; at < length; at += kEventMessageSize) {
    absl::StatusOr<Event> event =
        DecodeEvent(raw_.subspan(at, kEventMessageSize));
    if (event.ok()) {
      events_.push_back(*std::move(event));
    } else {
      status.Update(event.status());
    }
  }
  return status;
}

}  // namespace pagelift
