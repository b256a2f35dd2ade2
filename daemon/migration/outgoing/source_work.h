#ifndef PAGELIFT_DAEMON_MIGRATION_OUTGOING_SOURCE_WORK_H_
#define PAGELIFT_DAEMON_MIGRATION_OUTGOING_SOURCE_WORK_H_

#include "absl/status/status.h"
#include "lib/migration/source_protocol.h"
#include "pagelift/v1/migration.pb.h"
#include "pagelift/v1/migration_record.pb.h"

namespace pagelift {

// What is done for a migration at its source. Do() is called by one thread, and
// each step perhaps by the successor of a process that died in its midst; the
// others by any.
class SourceWork {
 public:
  virtual ~SourceWork() = default;

  // Any step but those that record something. Until it is done, or cannot be.
  virtual absl::Status Do(SourceStep step) = 0;
  // Breaks off what is being done, as nobody wants it any more; what comes
  // after that is done again.
  virtual void Cancel() = 0;
  // What a successor has to know, if it is known: part of what is recorded.
  virtual void AddTo(v1::SourceRecord* record) = 0;
  // Fills in how far it is.
  virtual void Describe(v1::MigrationProgress* progress) = 0;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_OUTGOING_SOURCE_WORK_H_
