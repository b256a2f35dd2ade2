#ifndef PAGELIFT_LIB_PROCESS_BACKGROUND_H_
#define PAGELIFT_LIB_PROCESS_BACKGROUND_H_

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/unique_fd.h"

namespace pagelift {

// Going on in the background, as `--daemon` asks for.
//
// Detach() forks: the parent waits until the child says Ready() and exits with
// 0, or exits with 1 if the child ends before. Only the child returns. To be
// called before any thread is started.
class Background {
 public:
  static absl::StatusOr<Background> Detach();
  // What this process executes finds it with Inherited(), which is nothing
  // elsewhere.
  void PassOn() &&;
  static std::optional<Background> Inherited();
  // Everything that can go wrong at the start has not: the parent may exit.
  // Standard input, output and error go to /dev/null from here on.
  absl::Status Ready();

 private:
  explicit Background(UniqueFd parent) : parent_(std::move(parent)) {}
  UniqueFd parent_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_BACKGROUND_H_
