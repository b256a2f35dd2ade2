#include "lib/tls/openssl.h"

#include <openssl/err.h>

#include <cstring>

namespace pagelift {

std::string TakeOpenSslError() {
  const unsigned long error = ERR_get_error();
  ERR_clear_error();
  if (error == 0) return "no reason is known";
  // Those of system calls have no text in OpenSSL's tables.
  if (ERR_SYSTEM_ERROR(error)) return strerror(ERR_GET_REASON(error));
  const char* const reason = ERR_reason_error_string(error);
  return reason != nullptr ? reason : "OpenSSL has no text for the reason";
}

}  // namespace pagelift
