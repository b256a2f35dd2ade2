#ifndef PAGELIFT_LIB_TRANSPORT_SOURCE_FLAGS_H_
#define PAGELIFT_LIB_TRANSPORT_SOURCE_FLAGS_H_

#include <string>

#include "lib/base/command_line.h"

namespace pagelift {

// The flags of all commands that are told a source's URL: options of it, as
// people are used to write them.
class SourceFlags {
 public:
  // `line` must not outlive them.
  void AddTo(CommandLine& line);

  // `url`, as in source_url.h, with those of them that are for it. Directories
  // are absolute in it: who opens it may be elsewhere.
  std::string AppliedTo(std::string url) const;

 private:
  std::string tls_;
  bool insecure_ = false;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_TRANSPORT_SOURCE_FLAGS_H_
