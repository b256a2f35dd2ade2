#include "daemon/migration/parked/frozen_tree_proto.h"

#include <utility>
#include <vector>

#include "daemon/migration/parked/frozen_task.h"
#include "daemon/migration/parked/task_names.h"
#include "lib/base/log.h"

namespace pagelift {
namespace {

TaskName NameOf(const v1::FrozenTask& task) {
  return {FromProto(task.process()), task.image_pid(), task.was_stopped()};
}

FrozenTask Reopen(const TaskName& name) {
  absl::StatusOr<FrozenTask> task = FrozenTask::Open(name);
  if (task.ok()) return *std::move(task);
  LOG(Warning) << "a frozen process is lost: " << task.status().message();
  return FrozenTask::Ended(name);
}

}  // namespace

FrozenTaskProtos ToProto(const FrozenTree& tree) {
  FrozenTaskProtos protos;
  for (const FrozenTask& task : tree.tasks()) {
    v1::FrozenTask& proto = *protos.Add();
    *proto.mutable_process() = ToProto(task.name().process);
    proto.set_image_pid(task.name().image_pid);
    proto.set_was_stopped(task.name().was_stopped);
    proto.set_pidfd(task.pidfd());
    proto.set_memory_fd(task.memory_fd());
  }
  return protos;
}

FrozenTree AdoptTree(const FrozenTaskProtos& tasks) {
  std::vector<FrozenTask> adopted;
  for (const v1::FrozenTask& proto : tasks) {
    const TaskName name = NameOf(proto);
    absl::StatusOr<FrozenTask> task =
        FrozenTask::Adopt(name, proto.pidfd(), proto.memory_fd());
    adopted.push_back(task.ok() ? *std::move(task) : Reopen(name));
  }
  return FrozenTree(std::move(adopted));
}

FrozenTree ReopenTree(const FrozenTaskProtos& tasks) {
  std::vector<FrozenTask> reopened;
  for (const v1::FrozenTask& proto : tasks) {
    reopened.push_back(Reopen(NameOf(proto)));
  }
  return FrozenTree(std::move(reopened));
}

v1::ProcessName ToProto(const ProcessName& name) {
  v1::ProcessName proto;
  proto.set_pid(name.pid);
  proto.set_start_ticks(name.start_ticks);
  return proto;
}

ProcessName FromProto(const v1::ProcessName& name) {
  return {name.pid(), name.start_ticks()};
}

}  // namespace pagelift
