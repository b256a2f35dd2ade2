#ifndef PAGELIFT_LIB_BASE_RENEWED_FILES_H_
#define PAGELIFT_LIB_BASE_RENEWED_FILES_H_

#include <fcntl.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "lib/base/file_identity.h"
#include "lib/base/log.h"
#include "lib/base/status_macros.h"

namespace pagelift {

// What was made of some files, and is made anew when one of them changes.
//
// Thread-safe.
template <typename T>
class RenewedFiles {
 public:
  // Reads the files; an error says which is at fault.
  using Read = std::function<absl::StatusOr<std::shared_ptr<T>>()>;

  static absl::StatusOr<std::unique_ptr<RenewedFiles>> Load(
      std::vector<std::string> files, Read read) {
    std::unique_ptr<RenewedFiles> renewed(
        new RenewedFiles(std::move(files), std::move(read)));
    absl::MutexLock lock(&renewed->mu_);
    ASSIGN_OR_RETURN(renewed->tried_, renewed->Look());
    ASSIGN_OR_RETURN(renewed->current_, renewed->read_());
    return renewed;
  }

  // Looks at the files. While those that were changed cannot be used, which is
  // told in the log, this is what was there before.
  std::shared_ptr<T> Current() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    absl::StatusOr<Identities> now = Look();
    if (now.ok() && *now == tried_) return current_;
    absl::StatusOr<std::shared_ptr<T>> made =
        now.ok() ? read_() : absl::StatusOr<std::shared_ptr<T>>(now.status());
    tried_ = now.ok() ? *std::move(now) : Identities();
    if (made.ok()) {
      LOG(Info) << files_.front() << " and what belongs to it is read anew";
      current_ = *std::move(made);
      trouble_.clear();
    } else if (trouble_ != made.status().message()) {
      trouble_ = std::string(made.status().message());
      LOG(Warning) << trouble_ << ": goes on with what was there before";
    }
    return current_;
  }

 private:
  using Identities = std::vector<FileIdentity>;

  RenewedFiles(std::vector<std::string> files, Read read)
      : files_(std::move(files)), read_(std::move(read)) {}

  absl::StatusOr<Identities> Look() const {
    Identities identities;
    for (const std::string& file : files_) {
      ASSIGN_OR_RETURN(FileIdentity identity, FileIdentity::Of(AT_FDCWD, file));
      identities.push_back(identity);
    }
    return identities;
  }

  const std::vector<std::string> files_;
  const Read read_;

  absl::Mutex mu_;
  // Of what was read last, whether it could be used or not.
  Identities tried_ ABSL_GUARDED_BY(mu_);
  std::string trouble_ ABSL_GUARDED_BY(mu_);  // What was told.
  std::shared_ptr<T> current_ ABSL_GUARDED_BY(mu_);
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_BASE_RENEWED_FILES_H_
