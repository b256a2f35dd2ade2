#include "lib/http2/grpc_message.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"

namespace pagelift {

std::string EncodeGrpcMessage(absl::string_view message) {
  std::string value;
  for (const char c : message) {
    if (c >= ' ' && c <= '~' && c != '%') {
      value.push_back(c);
    } else {
      absl::StrAppendFormat(&value, "%%%02X", static_cast<unsigned char>(c));
    }
  }
  return value;
}

std::string DecodeGrpcMessage(absl::string_view value) {
  std::string message;
  for (size_t i = 0; i < value.size(); ++i) {
    if (value[i] == '%' && i + 2 < value.size() &&
        absl::ascii_isxdigit(static_cast<unsigned char>(value[i + 1])) &&
        absl::ascii_isxdigit(static_cast<unsigned char>(value[i + 2]))) {
      message += absl::HexStringToBytes(value.substr(i + 1, 2));
      i += 2;
    } else {
      message.push_back(value[i]);
    }
  }
  return message;
}

}  // namespace pagelift
