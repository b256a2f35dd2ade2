#ifndef PAGELIFT_LIB_TLS_TLS_CREDENTIALS_H_
#define PAGELIFT_LIB_TLS_TLS_CREDENTIALS_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "lib/base/renewed_files.h"
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
  std::shared_ptr<SSL_CTX> Current() { return files_->Current(); }

  std::string certificate_file() const { return directory_ + "/tls.crt"; }
  std::string key_file() const { return directory_ + "/tls.key"; }
  std::string authorities_file() const { return directory_ + "/ca.crt"; }

 private:
  TlsCredentials(std::string directory, End end)
      : directory_(std::move(directory)), end_(end) {}

  absl::StatusOr<std::shared_ptr<SSL_CTX>> Read() const;

  const std::string directory_;
  const End end_;
  std::unique_ptr<RenewedFiles<SSL_CTX>> files_;  // Set by Load().
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TLS_TLS_CREDENTIALS_H_
