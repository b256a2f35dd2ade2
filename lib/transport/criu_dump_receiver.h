#ifndef PAGELIFT_LIB_TRANSPORT_CRIU_DUMP_RECEIVER_H_
#define PAGELIFT_LIB_TRANSPORT_CRIU_DUMP_RECEIVER_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "lib/memory/page.h"
#include "lib/tls/stream_socket.h"
#include "lib/transport/criu_sink_message.h"

namespace pagelift {

// Where the pages of a dump go. An error ends the dump.
class CriuDumpWriter {
 public:
  virtual ~CriuDumpWriter() = default;

  // Pages of `object` follow.
  virtual absl::Status Open(const CriuObject& object) = 0;
  // The contents of `pages` of the open object follow, in pieces.
  virtual absl::Status Add(PageRange pages, bool lazy) = 0;
  virtual absl::Status Write(absl::Span<const std::byte> contents) = 0;
  // That was all: from now on it is there for good.
  virtual absl::Status Finish() = 0;
};

struct CriuDumpPatience {
  // For the first message. Longer than CRIU needs, who connects when its tasks
  // are frozen.
  absl::Duration first = absl::Minutes(1);
  // For each later one, and for each piece of contents.
  absl::Duration next = absl::Minutes(10);
};

// Receives what `criu dump --page-server` sends over `socket`, up to its end.
// Returns when the dump was finished and its sender has been told so, or why it
// was not: kNotFound if the far end left before it said anything; kCancelled
// after `cancel`, a descriptor, became readable. The sender fails its dump
// then, and lets its tasks go on, when the socket is closed.
absl::Status ReceiveCriuDump(StreamSocket& socket,
                             const CriuDumpPatience& patience, int cancel,
                             CriuDumpWriter& writer);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_CRIU_DUMP_RECEIVER_H_
