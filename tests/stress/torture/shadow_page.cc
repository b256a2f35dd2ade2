#include "tests/stress/torture/shadow_page.h"

#include <algorithm>
#include <cstring>

namespace pagelift::stress {

void ShadowPage::Note(uint32_t operation) {
  if (history.back() == operation) return;
  std::move(history.begin() + 1, history.end(), history.begin());
  history.back() = operation;
}

void ShadowPage::BecomeUnmapped() {
  BecomeFresh();
  contents = Contents::kUnmapped;
}

void ShadowPage::BecomeZero() {
  contents = Contents::kZero;
  patched_word = kNoPatch;
}

void ShadowPage::BecomeFresh() {
  BecomeZero();
  access = Access::kReadWrite;
  locked = false;
  wipe_on_fork = false;
  dont_fork = false;
}

std::optional<WrongWord> ShadowPage::Check(uint64_t seed,
                                           const std::byte* page) const {
  if (contents == Contents::kZero) return e2e::FindNonZeroWord(page);
  if (contents == Contents::kPatternOrZero &&
      !e2e::FindNonZeroWord(page).has_value()) {
    return std::nullopt;
  }
  uint64_t expected = e2e::PatternStart({seed, number, generation});
  const uint64_t step = e2e::PatternStep(expected);
  for (size_t word = 0; word < kPageBytes / sizeof(uint64_t);
       ++word, expected += step) {
    uint64_t got;
    std::memcpy(&got, page + word * sizeof(got), sizeof(got));
    const uint64_t right = word == patched_word ? patch : expected;
    if (got != right) return WrongWord{word * sizeof(got), right, got};
  }
  return std::nullopt;
}

void ShadowPage::Fill(uint64_t seed, std::byte* page) const {
  if (contents == Contents::kZero) {
    std::memset(page, 0, kPageBytes);
    return;
  }
  e2e::WritePattern({seed, number, generation}, page);
  if (patched_word != kNoPatch) {
    std::memcpy(page + patched_word * sizeof(patch), &patch, sizeof(patch));
  }
}

}  // namespace pagelift::stress
