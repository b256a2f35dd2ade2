#ifndef PAGELIFT_LIB_UFFD_EVENT_H_
#define PAGELIFT_LIB_UFFD_EVENT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lib/base/unique_fd.h"
#include "lib/memory/page.h"
#include "lib/uffd/fault_kind.h"

namespace pagelift {

// A thread waits for a page. Only a hint: read(2) hands faults out before older
// events, so look at the page again after all events of the batch.
struct PageFault {
  PageId page;
  uint64_t address =
      0;  // The start of the page, without Feature::kExactAddress.
  FaultKind kind = FaultKind::kMissing;
  bool is_write = false;
  uint32_t thread =
      0;  // In the target's own pid namespace; 0 without kThreadId.
};

// The target forked. `child` is the only reference to the child's userfaultfd:
//
//   CLOSING IT TURNS EVERY MISSING PAGE OF THE CHILD INTO ZEROS, silently.
//
// So an event that is dropped, or destroyed with its buffer, destroys the
// child's data. Move `child` out and keep it before anything else can fail.
struct Forked {
  UniqueFd child;
};

// What lay at `from` lies at `to` now. Whatever was at `to` is gone; what the
// mapping grew by is empty and is not counted here. `from` is empty for a
// shared mapping that was doubled and not moved (mremap(2) with an old size of
// 0).
struct Remapped {
  PageRange from;
  PageId to;
};

// The contents are dropped and the mapping stays: zeros from now on.
struct Removed {
  PageRange range;
};

// May be wider than what is registered, and may come after another thread's
// remap to the same place: see UserfaultFd::Probe.
struct Unmapped {
  PageRange range;
};

using Event = std::variant<PageFault, Forked, Remapped, Removed, Unmapped>;

inline constexpr size_t kEventMessageSize = 32;

// Decodes one message of the kernel. kInvalidArgument for what no kernel sends:
// an unknown event, addresses off page borders, ranges that wrap around.
// A fork message names a descriptor by number: decode it once, in the process
// that read it, because the event takes that descriptor over.
// REQUIRES: message.size() == kEventMessageSize.
absl::StatusOr<Event> DecodeEvent(absl::Span<const std::byte> message);

// The descriptor that is named by the message of a fork, which stays whose it
// is; nothing if it is another message.
std::optional<int> ChildNamedIn(absl::Span<const std::byte> message);
// Makes a message that says nothing of it: a fault where nothing is ever
// mapped.
void MakeVoid(absl::Span<std::byte> message);

// Room for one batch of events, to be used again and again.
//
// Thread-compatible: one for each reading thread.
class EventBuffer {
 public:
  static constexpr size_t kMessages = 64;
  static constexpr size_t kSize = kMessages * kEventMessageSize;

  EventBuffer()
      : own_(std::make_unique<std::array<std::byte, kSize>>()),
        raw_(absl::MakeSpan(*own_)) {
    events_.reserve(kMessages);
  }
  // The kernel writes its messages to `raw`, kSize bytes that outlive this.
  explicit EventBuffer(absl::Span<std::byte> raw) : raw_(raw) {
    events_.reserve(kMessages);
  }
  EventBuffer(const EventBuffer&) = delete;
  EventBuffer& operator=(const EventBuffer&) = delete;

  absl::Span<std::byte> raw() { return raw_; }
  // Decodes what is in the first `length` bytes of raw(), whole messages; see
  // events(). If one cannot be decoded, the others are.
  absl::Status Decode(size_t length);

  // What the last read decoded; the events are the caller's to move from.
  absl::Span<Event> events() { return absl::MakeSpan(events_); }

 private:
  std::unique_ptr<std::array<std::byte, kSize>> own_;
  absl::Span<std::byte> raw_;
  std::vector<Event> events_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_UFFD_EVENT_H_
