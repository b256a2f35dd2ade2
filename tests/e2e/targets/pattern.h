#ifndef TESTS_E2E_TARGETS_PATTERN_H_
#define TESTS_E2E_TARGETS_PATTERN_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

namespace pagelift::e2e {

inline constexpr size_t kPageBytes = 4096;

// What a page ought to hold: a function of these three numbers, so that no two
// pages are alike and a page rewritten is not like its former self.
struct PageTag {
  uint64_t seed = 0;
  uint64_t number = 0;
  uint64_t generation = 0;
};

// A word that is not what it ought to be.
struct WrongWord {
  size_t offset = 0;
  uint64_t expected = 0;
  uint64_t got = 0;
};

// The finishing step of splitmix64: neighbouring inputs, unrelated outputs.
inline uint64_t Scramble(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// The first word; the others count up from it in odd steps.
inline uint64_t PatternStart(const PageTag& tag) {
  return Scramble(Scramble(Scramble(tag.seed) ^ tag.number) ^ tag.generation);
}

inline uint64_t PatternStep(uint64_t start) { return Scramble(start) | 1; }

// Writes a page's worth of pattern. `page` need not be aligned.
inline void WritePattern(const PageTag& tag, std::byte* page) {
  uint64_t word = PatternStart(tag);
  const uint64_t step = PatternStep(word);
  for (size_t at = 0; at < kPageBytes; at += sizeof(word), word += step) {
    std::memcpy(page + at, &word, sizeof(word));
  }
}

// Reads every byte; nothing if all are as WritePattern() left them.
inline std::optional<WrongWord> FindWrongWord(const PageTag& tag,
                                              const std::byte* page) {
  uint64_t word = PatternStart(tag);
  const uint64_t step = PatternStep(word);
  for (size_t at = 0; at < kPageBytes; at += sizeof(word), word += step) {
    uint64_t got;
    std::memcpy(&got, page + at, sizeof(got));
    if (got != word) return WrongWord{at, word, got};
  }
  return std::nullopt;
}

// The same for a page that ought to be zeros.
inline std::optional<WrongWord> FindNonZeroWord(const std::byte* page) {
  for (size_t at = 0; at < kPageBytes; at += sizeof(uint64_t)) {
    uint64_t got;
    std::memcpy(&got, page + at, sizeof(got));
    if (got != 0) return WrongWord{at, 0, got};
  }
  return std::nullopt;
}

}  // namespace pagelift::e2e

#endif  // TESTS_E2E_TARGETS_PATTERN_H_
