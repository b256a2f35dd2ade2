#include "lib/image/robust_list.h"

namespace pagelift {
namespace {

constexpr uint64_t kWord = sizeof(uint64_t);
// ROBUST_LIST_LIMIT of linux/futex.h: the kernel looks no further either.
constexpr int kMostEntries = 2048;
// The lowest bit of a pointer tells the kind of the futex.
constexpr uint64_t kKindBit = 1;

}  // namespace

std::vector<uint64_t> WordsOfRobustList(
    uint64_t head,
    absl::FunctionRef<std::optional<uint64_t>(uint64_t)> read_word) {
  // First entry, distance from an entry to its futex, entry under way.
  std::vector<uint64_t> words = {head, head + kWord, head + 2 * kWord};
  const std::optional<uint64_t> first = read_word(words[0]);
  const std::optional<uint64_t> distance = read_word(words[1]);
  const std::optional<uint64_t> pending = read_word(words[2]);
  if (!distance.has_value()) return words;
  const auto add = [&](uint64_t entry) {
    words.push_back(entry);
    words.push_back(entry + *distance);  // May be negative, and wraps.
  };
  if (pending.value_or(0) != 0) add(*pending & ~kKindBit);
  std::optional<uint64_t> next = first;
  for (int i = 0; i < kMostEntries && next.has_value(); ++i) {
    const uint64_t entry = *next & ~kKindBit;
    if (entry == head || entry == 0) break;
    add(entry);
    next = read_word(entry);
  }
  return words;
}

}  // namespace pagelift
