#ifndef PAGELIFT_LIB_BASE_XXH3_H_
#define PAGELIFT_LIB_BASE_XXH3_H_

// Inlined: the state lies on the stack.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdint>

#include "absl/strings/string_view.h"
#include "lib/base/byte_span.h"

namespace pagelift {

// XXH3, 64 bits, over bytes and numbers in turn: against damage, not against
// an adversary.
//
// Thread-compatible.
class Xxh3 {
 public:
  // Over `bytes` alone, which is faster at once.
  static uint64_t Of(ByteSpan bytes, uint64_t seed = 0) {
    return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
  }

  explicit Xxh3(uint64_t seed = 0) {
    // Which reset looks at.
    state_.seed = 0;
    state_.extSecret = nullptr;
    XXH3_64bits_reset_withSeed(&state_, seed);
  }

  void Add(ByteSpan bytes) {
    XXH3_64bits_update(&state_, bytes.data(), bytes.size());
  }
  void Add(absl::string_view text) {
    XXH3_64bits_update(&state_, text.data(), text.size());
  }
  // As eight bytes, the lowest first.
  void Add(uint64_t number) {
    unsigned char bytes[sizeof(number)];
    for (unsigned char& byte : bytes) {
      byte = static_cast<unsigned char>(number);
      number >>= 8;
    }
    XXH3_64bits_update(&state_, bytes, sizeof(bytes));
  }

  uint64_t Get() const { return XXH3_64bits_digest(&state_); }

 private:
  XXH3_state_t state_;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_BASE_XXH3_H_
