// Arbitrary messages: what is taken names an object that can be a file's name,
// and pages that a pagemap can hold.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <variant>

#include "lib/base/log.h"
#include "lib/transport/criu_sink_message.h"

namespace pagelift {
namespace {

void CheckObject(const CriuObject& object) {
  CHECK(object.id < uint64_t{1} << 56);
  if (object.kind != CriuObject::Kind::kTask) return;
  CHECK(object.id > 0 && object.id < uint64_t{1} << 31);
}

struct Checker {
  void operator()(const CriuOpen& open) { CheckObject(open.object); }
  void operator()(const CriuAskParent& ask) { CheckObject(ask.object); }
  void operator()(const CriuAdd& add) {
    CheckObject(add.object);
    CHECK(!add.pages.empty());
    CHECK(add.pages.limit().raw() <= uint64_t{1} << (57 - 12));
  }
  void operator()(const CriuClose&) {}
};

}  // namespace
}  // namespace pagelift

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  pagelift::CriuMessage message = {};
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  std::copy_n(bytes, std::min(size, message.size()), message.begin());
  const auto decoded = pagelift::DecodeCriuSinkMessage(message);
  if (decoded.ok()) std::visit(pagelift::Checker(), *decoded);
  return 0;
}
