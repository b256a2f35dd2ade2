#include "client/cli/phase_line.h"

#include <cstdio>
#include <utility>

namespace pagelift {

PhaseLine::PhaseLine(int terminal, std::string what, absl::Duration after)
    : terminal_(terminal), what_(std::move(what)), after_(after) {
  if (terminal_ >= 0) thread_ = std::thread([this] { Run(); });
}

PhaseLine::~PhaseLine() {
  {
    absl::MutexLock lock(&mu_);
    over_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void PhaseLine::Run() {
  absl::MutexLock lock(&mu_);
  bool shown = false;
  for (absl::Duration waited = after_;
       !mu_.AwaitWithTimeout(absl::Condition(&over_), after_);
       waited += after_) {
    dprintf(terminal_, "\r\033[K%s, %s", what_.c_str(),
            absl::FormatDuration(waited).c_str());
    shown = true;
  }
  if (shown) dprintf(terminal_, "\r\033[K");
}

}  // namespace pagelift
