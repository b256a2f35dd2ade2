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
struct SourceUrl {
  enum class Kind { kCriuDirectory, kPageServer };
  Kind kind = Kind::kCriuDirectory;
  std::string directory;               // kCriuDirectory.
  std::vector<std::string> addresses;  // kPageServer: HOST:PORT, at least one.
  std::string image;                   // kPageServer.

  // kInvalidArgument says what is wrong and what is expected.
  static absl::StatusOr<SourceUrl> Parse(absl::string_view text);
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_SOURCE_URL_H_
