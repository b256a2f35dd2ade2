#ifndef PAGELIFT_LIB_TRANSPORT_CRIU_SINK_MESSAGE_H_
#define PAGELIFT_LIB_TRANSPORT_CRIU_SINK_MESSAGE_H_

#include <cstdint>
#include <variant>

#include "absl/status/statusor.h"
#include "lib/memory/page.h"
#include "lib/transport/criu_message.h"

namespace pagelift {

// What `criu dump --page-server` sends to where its pages are to go: messages
// laid out as those of criu_message.h. None of it is trusted.

// Something that has pages: a task, by its pid, or shared memory.
struct CriuObject {
  enum class Kind { kTask, kSharedMemory };
  Kind kind = Kind::kTask;
  uint64_t id = 0;  // Of a task, that of a process: positive, 31 bits.

  friend bool operator==(const CriuObject& a, const CriuObject& b) {
    return a.kind == b.kind && a.id == b.id;
  }
};

// "Pages of this one follow." CRIU up to 3.3 wants no answer; others want a
// byte, whether its parent image is here.
struct CriuOpen {
  CriuObject object;
  bool wants_answer = true;
};
// "Is its parent image here?" An int32 answers.
struct CriuAskParent {
  CriuObject object;
};
// The contents of `pages` follow.
struct CriuAdd {
  CriuObject object;
  PageRange pages;
  bool lazy = false;  // They may be restored lazily.
};
// "That was all." An int32 answers, 0 if all is well.
struct CriuClose {};

using CriuSinkMessage =
    std::variant<CriuOpen, CriuAskParent, CriuAdd, CriuClose>;

// kInvalidArgument: nothing that a dump sends to us, who have no parent images.
absl::StatusOr<CriuSinkMessage> DecodeCriuSinkMessage(
    const CriuMessage& message);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_CRIU_SINK_MESSAGE_H_
