#include "daemon/pager/session/restore_recorder.h"

#include <utility>

#include "absl/status/status.h"
#include "lib/base/log.h"
#include "lib/base/thread_name.h"
#include "lib/workingset/recording.h"

namespace pagelift {
namespace {

// What most sources say; nobody has to be told.
bool KeepsNothing(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsUnimplemented(status);
}

}  // namespace

RestoreRecorder::~RestoreRecorder() {
  if (keeper_.joinable()) keeper_.join();
}

bool RestoreRecorder::CheckSettled(absl::Duration now, bool waiting) {
  if (!recorder_.CheckSettled(now, waiting)) return false;
  End();
  return true;
}

void RestoreRecorder::End() {
  Recording recording = recorder_.Take();
  if (recording.empty()) return;
  keeper_ = std::thread([this, recording = std::move(recording)] {
    NameThisThread("pl-keeper");
    const absl::Status status = source_.KeepRecording(recording);
    if (status.ok()) {
      LOG(Info) << "kept in which order " << recording.page_count()
                << " were touched";
    } else if (wanted_ || !KeepsNothing(status)) {
      LOG(Warning) << "the recording is not kept: " << status.message();
    }
  });
}

}  // namespace pagelift
