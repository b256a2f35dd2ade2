#ifndef PAGELIFT_LIB_TLS_TLS_CREDENTIALS_H_
#define PAGELIFT_LIB_TLS_TLS_CREDENTIALS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "lib/base/file_identity.h"
#include "lib/tls/openssl.h"

namespace pagelift {

// What one end of TLS connections shows, and whom it believes: a directory with
//   tls.crt  its certificate, and those between it and its authority, PEM
//   tls.key  the key of the first, PEM
//   ca.crt   the authorities by which the far end may be certified, PEM
// Names and contents are those of a Kubernetes secret of type
// kubernetes.io/tls, which renews itself by one rename.
//
// Thread-safe. Files that change are used from the next connection on.
class TlsCredentials {
 public:
  enum class End { kClient, kServer };

  // The error says which file is at fault.
  static absl::StatusOr<std::shared_ptr<TlsCredentials>> Load(
      std::string directory, End end);

  // To begin a session with. While files that were changed cannot be used,
  // which is told in the log, this is what was there before.
  std::shared_ptr<SSL_CTX> Current() ABSL_LOCKS_EXCLUDED(mu_);

  std::string certificate_file() const { return directory_ + "/tls.crt"; }
  std::string key_file() const { return directory_ + "/tls.key"; }
  std::string authorities_file() const { return directory_ + "/ca.crt"; }

 private:
  // Of the three files.
  using Identities = std::vector<FileIdentity>;

  TlsCredentials(std::string directory, End end)
      : directory_(std::move(directory)), end_(end) {}

  absl::StatusOr<Identities> Look() const;
  absl::StatusOr<std::shared_ptr<SSL_CTX>> Read() const;

  const std::string directory_;
  const End end_;

  absl::Mutex mu_;
  // Of what was tried last, whether it could be used or not.
  Identities tried_ ABSL_GUARDED_BY(mu_);
  std::string trouble_ ABSL_GUARDED_BY(mu_);  // What was told.
  std::shared_ptr<SSL_CTX> current_ ABSL_GUARDED_BY(mu_);
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TLS_TLS_CREDENTIALS_H_
