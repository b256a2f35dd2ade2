#ifndef PAGELIFT_LIB_BASE_JSON_STRING_H_
#define PAGELIFT_LIB_BASE_JSON_STRING_H_

#include <string>

#include "absl/strings/string_view.h"

namespace pagelift {

// `text` as a JSON string, quotes included. Bytes that are not UTF-8 come out
// as U+FFFD, so that the result is always valid JSON.
std::string JsonString(absl::string_view text);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_BASE_JSON_STRING_H_
