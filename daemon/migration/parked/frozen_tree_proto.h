#ifndef PAGELIFT_DAEMON_MIGRATION_PARKED_FROZEN_TREE_PROTO_H_
#define PAGELIFT_DAEMON_MIGRATION_PARKED_FROZEN_TREE_PROTO_H_

#include "absl/status/statusor.h"
#include "daemon/migration/parked/frozen_tree.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "pagelift/v1/migration_record.pb.h"

namespace pagelift {

using FrozenTaskProtos = google::protobuf::RepeatedPtrField<v1::FrozenTask>;

// To be written down, for AdoptTree() or ReopenTree().
FrozenTaskProtos ToProto(const FrozenTree& tree);

// What a dead worker had, if its guard is ours: the same descriptors. Where one
// is not what it should be, the process is opened anew by its name; tasks that
// have ended are remembered as such.
FrozenTree AdoptTree(const FrozenTaskProtos& tasks);

// The same by names only, if its guard is gone, too. The tree was not held by
// anybody in between: whether it is as it was is for CheckStopped() to say, of
// a tree that was fenced.
FrozenTree ReopenTree(const FrozenTaskProtos& tasks);

v1::ProcessName ToProto(const ProcessName& name);
ProcessName FromProto(const v1::ProcessName& name);

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_MIGRATION_PARKED_FROZEN_TREE_PROTO_H_
