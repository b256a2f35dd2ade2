// Any bytes are judged, soon, and the same with more behind them.

#include <cstddef>
#include <cstdint>
#include <string>

#include "lib/base/log.h"
#include "lib/tls/client_hello.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using pagelift::ClientHello;
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  const ClientHello judged =
      pagelift::JudgeClientHello(pagelift::BytesOf(bytes));
  if (judged == ClientHello::kNoTls) {
    const std::string more = std::string(bytes) + "more";
    CHECK(pagelift::JudgeClientHello(pagelift::BytesOf(more)) == judged);
  }
  return 0;
}
