#include "lib/image/thread_core.h"

#include <cstdint>

#include "criu/core.pb.h"
#include "lib/base/status_macros.h"
#include "lib/image/image_file.h"

namespace pagelift {
namespace {

constexpr uint32_t kStopped = 3;

}  // namespace

absl::StatusOr<ThreadCore> DecodeThreadCore(const std::string& name,
                                            std::string_view contents) {
  ASSIGN_OR_RETURN(ImageFile file,
                   ImageFile::Parse(name, contents, ImageKind::kCore));
  ASSIGN_OR_RETURN(ImageRecord record, file.OnlyRecord());
  criu::Core message;
  RETURN_IF_ERROR(file.Decode(record, &message));
  ThreadCore core;
  core.comm = message.task().comm();
  core.stopped = message.task().state() == kStopped;
  if (message.thread_x86().registers().has_stack_pointer()) {
    core.stack_pointer = message.thread_x86().registers().stack_pointer();
  }
  if (message.thread().robust_list() != 0) {
    core.robust_list = message.thread().robust_list();
  }
  for (uint64_t address :
       {message.thread_x86().clear_tid(), message.thread().robust_list(),
        message.thread().rseq().area()}) {
    if (address != 0) core.kernel_words.push_back(address);
  }
  return core;
}

}  // namespace pagelift
