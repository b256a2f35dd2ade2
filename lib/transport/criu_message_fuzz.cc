// Arbitrary headers: what is taken is pages that a request could name, and says
// the same when it is written again.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "lib/base/log.h"
#include "lib/transport/criu_message.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  pagelift::CriuMessage header = {};
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  std::copy_n(bytes, std::min(size, header.size()), header.begin());
  auto reply = pagelift::DecodeCriuReply(header);
  if (!reply.ok()) return 0;
  CHECK(reply->pid > 0);
  CHECK(!reply->pages.empty());
  CHECK(reply->pages.limit().raw() <= uint64_t{1} << (57 - 12));
  const pagelift::CriuMessage get = pagelift::EncodeCriuGet(*reply);
  CHECK(std::equal(get.begin() + 8, get.end(), header.begin() + 8));
  return 0;
}
