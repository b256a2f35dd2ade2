#ifndef PAGELIFT_LIB_TRANSPORT_SOURCE_URL_H_
#define PAGELIFT_LIB_TRANSPORT_SOURCE_URL_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace pagelift {

// Where pages come from, as people write it:
//   criu:DIR               a CRIU image directory on this host
//   grpc://HOST:PORT/NAME  the image NAME of a page server, or of several
//                          that have the same: grpc://HOST:PORT,HOST:PORT/NAME
//   grpcs://...            the same over TLS
// After the name of an image there may be options, ?OPTION&OPTION:
//   tls=DIR   of grpcs: the directory with our certificate; see
//             lib/tls/tls_credentials.h
//   name=S    of grpcs: the server is certified as S, not as its host
//   insecure  of grpc: in plain text even to other hosts
struct SourceUrl {
  enum class Kind { kCriuDirectory, kPageServer };
  Kind kind = Kind::kCriuDirectory;
  std::string directory;               // kCriuDirectory.
  std::vector<std::string> addresses;  // kPageServer: HOST:PORT, at least one.
  std::string image;                   // kPageServer.
  bool tls = false;
  std::string tls_directory;  // May be empty, as may be:
  std::string server_name;
  bool insecure = false;

  // kInvalidArgument says what is wrong and what is expected.
  static absl::StatusOr<SourceUrl> Parse(absl::string_view text);
  // `text` as of a source that was let in before: that it is in plain text is
  // no reason to refuse it any more.
  static std::string LetIn(absl::string_view text);
  // `text` with one more option, if it is of a page server.
  static std::string WithOption(absl::string_view text,
                                absl::string_view option);
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_SOURCE_URL_H_
