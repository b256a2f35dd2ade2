#include "lib/memory/state_block.h"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "lib/base/log.h"
#include "lib/memory/counting_allocator.h"

namespace pagelift {
namespace {

// A *mask* has the lower bit of each page's pair: page i of the word is bit 2 *
// i. Pages of a word are *slots*, 0 to 31.
constexpr uint64_t kSlots = 32;
constexpr uint64_t kLowerBits = 0x5555555555555555;

uint64_t MaskOf(uint64_t word, PageState state) {
  uint64_t lower = word & kLowerBits;
  uint64_t upper = (word >> 1) & kLowerBits;
  switch (state) {
    case PageState::kMissing:
      return ~(lower | upper) & kLowerBits;
    case PageState::kRequested:
      return lower & ~upper;
    case PageState::kPresent:
      return upper & ~lower;
    case PageState::kLost:
      return lower & upper;
  }
  return 0;
}

uint64_t MaskOf(uint64_t word, PageStates states) {
  uint64_t mask = 0;
  for (PageState state : {PageState::kMissing, PageState::kRequested,
                          PageState::kPresent, PageState::kLost}) {
    if (states.Has(state)) mask |= MaskOf(word, state);
  }
  return mask;
}

// Slots [first, limit).
uint64_t MaskOfSlots(uint64_t first, uint64_t limit) {
  uint64_t below_limit =
      limit == kSlots ? ~uint64_t{0} : (uint64_t{1} << (2 * limit)) - 1;
  return kLowerBits & below_limit & (~uint64_t{0} << (2 * first));
}

// REQUIRES: mask != 0.
uint64_t FirstSlot(uint64_t mask) {
  return static_cast<uint64_t>(__builtin_ctzll(mask)) / 2;
}

// The first slot at or after `slot` that is not in `mask`; kSlots if none.
uint64_t FirstSlotWithout(uint64_t mask, uint64_t slot) {
  uint64_t without = ~mask & MaskOfSlots(slot, kSlots);
  return without == 0 ? kSlots : FirstSlot(without);
}

// REQUIRES: mask != 0.
uint64_t LastSlot(uint64_t mask) {
  return (63 - static_cast<uint64_t>(__builtin_clzll(mask))) / 2;
}

// Where the run of slots in `mask` that ends before `limit` begins; `limit` if
// the slot before it is not in `mask`.
uint64_t FirstSlotOfRun(uint64_t mask, uint64_t limit) {
  uint64_t without = ~mask & MaskOfSlots(0, limit);
  return without == 0 ? 0 : LastSlot(without) + 1;
}

// `word` with the slots of `mask` in `state`.
uint64_t WithState(uint64_t word, uint64_t mask, PageState state) {
  uint64_t both_bits = mask | mask << 1;
  return (word & ~both_bits) | mask * static_cast<uint64_t>(state);
}

PageCount SlotsIn(uint64_t mask) {
  return PageCount(static_cast<uint64_t>(__builtin_popcountll(mask)));
}

void AddCounts(uint64_t word, uint64_t mask, PageStateCounts& counts) {
  auto add = [&](PageState state, PageCount& count) {
    count = count + SlotsIn(MaskOf(word, state) & mask);
  };
  add(PageState::kMissing, counts.missing);
  add(PageState::kRequested, counts.requested);
  add(PageState::kPresent, counts.present);
  add(PageState::kLost, counts.lost);
}

// The words that hold indices [first, limit), one after the other, and which of
// their slots.
class WordWalk {
 public:
  WordWalk(uint64_t first, uint64_t limit) : index_(first), limit_(limit) {}
  bool done() const { return index_ >= limit_; }
  void Next() { index_ = base() + kSlots; }
  uint64_t word() const { return index_ / kSlots; }
  // The index of the word's slot 0.
  uint64_t base() const { return index_ - index_ % kSlots; }
  uint64_t first_slot() const { return index_ % kSlots; }
  uint64_t mask() const {
    return MaskOfSlots(first_slot(), std::min(kSlots, limit_ - base()));
  }

 private:
  uint64_t index_;
  uint64_t limit_;
};

uint64_t WordsFor(PageCount count) {
  return count.raw() / kSlots + (count.raw() % kSlots != 0 ? 1 : 0);
}

}  // namespace

StateBlock::Ref& StateBlock::Ref::operator=(Ref&& other) noexcept {
  std::swap(block_, other.block_);
  return *this;
}

StateBlock::Ref::~Ref() {
  if (block_ == nullptr || --block_->refs_ > 0) return;
  block_->~StateBlock();
  free(block_);
}

StateBlock::Ref StateBlock::Ref::Share() const {
  ++block_->refs_;
  return Ref(block_);
}

StateBlock::Ref StateBlock::New(ImageRange pages) {
  static_assert(Word::is_always_lock_free && sizeof(Word) == 8);
  static_assert(sizeof(StateBlock) % alignof(Word) == 0);
  static_assert(static_cast<int>(PageState::kMissing) == 0,
                "zeroed memory is a block of missing pages");
  // As many as 57-bit addresses reach.
  static constexpr PageCount kMostPages(uint64_t{1} << 45);
  if (kMostPages < pages.count) return Ref();
  void* memory =
      calloc(1, sizeof(StateBlock) + WordsFor(pages.count) * sizeof(Word));
  if (memory == nullptr) return Ref();
  return Ref(new (memory) StateBlock(pages));
}

StateBlock::Ref StateBlock::CopyOf(ImageRange pages) const {
  Ref copy = New(pages);
  if (!copy) return copy;
  // A word of the copy is made of two words here, unless they happen to align.
  uint64_t from = IndexOf(pages.first);
  uint64_t shift = 2 * (from % kSlots);
  uint64_t source = from / kSlots;
  uint64_t source_limit = WordsFor(count_);
  for (uint64_t i = 0; i < WordsFor(pages.count); ++i, ++source) {
    uint64_t word = words()[source].load(std::memory_order_relaxed) >> shift;
    if (shift != 0 && source + 1 < source_limit) {
      word |= words()[source + 1].load(std::memory_order_relaxed)
              << (64 - shift);
    }
    // What is zero already is left alone: its memory may not exist yet.
    if (word != 0) copy->words()[i].store(word, std::memory_order_relaxed);
  }
  return copy;
}

uint64_t StateBlock::IndexOf(ImagePage page) const {
  DCHECK(first_ <= page && page <= first_ + count_);
  return (page - first_).raw();
}

PageState StateBlock::Get(ImagePage page) const {
  uint64_t index = IndexOf(page);
  uint64_t word = words()[index / kSlots].load(std::memory_order_acquire);
  return static_cast<PageState>((word >> (2 * (index % kSlots))) & 3);
}

PageStateCounts StateBlock::Count(ImageRange pages) const {
  PageStateCounts counts;
  for (WordWalk walk(IndexOf(pages.first), IndexOf(pages.limit()));
       !walk.done(); walk.Next()) {
    AddCounts(words()[walk.word()].load(std::memory_order_relaxed), walk.mask(),
              counts);
  }
  return counts;
}

ImageRange StateBlock::FindRun(ImageRange pages, PageStates states) const {
  auto page_at = [&](uint64_t index) { return first_ + PageCount(index); };
  std::optional<uint64_t> start;
  for (WordWalk walk(IndexOf(pages.first), IndexOf(pages.limit()));
       !walk.done(); walk.Next()) {
    uint64_t word = words()[walk.word()].load(std::memory_order_acquire);
    uint64_t mask = MaskOf(word, states) & walk.mask();
    uint64_t slot = walk.first_slot();
    if (!start.has_value()) {
      if (mask == 0) continue;
      slot = FirstSlot(mask);
      start = walk.base() + slot;
    }
    uint64_t run_limit = FirstSlotWithout(mask, slot);
    if (run_limit < kSlots) {
      return ImageRange::Between(page_at(*start),
                                 page_at(walk.base() + run_limit));
    }
  }
  return ImageRange::Between(
      start.has_value() ? page_at(*start) : pages.limit(), pages.limit());
}

std::optional<PageState> StateBlock::Transition(ImagePage page, PageStates from,
                                                PageState to) {
  uint64_t index = IndexOf(page);
  Word& word = words()[index / kSlots];
  uint64_t mask = uint64_t{1} << (2 * (index % kSlots));
  uint64_t old = word.load(std::memory_order_acquire);
  while (true) {
    auto state = static_cast<PageState>((old >> (2 * (index % kSlots))) & 3);
    if (!from.Has(state)) return std::nullopt;
    if (word.compare_exchange_weak(old, WithState(old, mask, to),
                                   std::memory_order_acq_rel,
                                   std::memory_order_acquire)) {
      return state;
    }
  }
}

PageStateCounts StateBlock::TransitionRange(ImageRange pages, PageStates from,
                                            PageState to) {
  PageStateCounts changed;
  for (WordWalk walk(IndexOf(pages.first), IndexOf(pages.limit()));
       !walk.done(); walk.Next()) {
    Word& word = words()[walk.word()];
    uint64_t old = word.load(std::memory_order_acquire);
    uint64_t mask;
    do {
      mask = MaskOf(old, from) & walk.mask();
    } while (mask != 0 &&
             !word.compare_exchange_weak(old, WithState(old, mask, to),
                                         std::memory_order_acq_rel,
                                         std::memory_order_acquire));
    AddCounts(old, mask, changed);
  }
  return changed;
}

ImageRange StateBlock::ClaimMissing(ImageRange pages, PageCount most) {
  ImageRange claimed{pages.limit(), PageCount(0)};
  for (WordWalk walk(IndexOf(pages.first), IndexOf(pages.limit()));
       !walk.done() && claimed.count < most; walk.Next()) {
    Word& word = words()[walk.word()];
    uint64_t old = word.load(std::memory_order_acquire);
    uint64_t slot;
    uint64_t limit;
    do {
      uint64_t missing = MaskOf(old, PageState::kMissing) & walk.mask();
      slot = claimed.empty() && missing != 0 ? FirstSlot(missing)
                                             : walk.first_slot();
      uint64_t room = std::min(kSlots, (most - claimed.count).raw());
      limit = std::min(FirstSlotWithout(missing, slot), slot + room);
    } while (
        slot < limit &&
        !word.compare_exchange_weak(
            old,
            WithState(old, MaskOfSlots(slot, limit), PageState::kRequested),
            std::memory_order_acq_rel, std::memory_order_acquire));
    if (claimed.empty()) claimed.first = first_ + PageCount(walk.base() + slot);
    claimed.count = claimed.count + PageCount(limit - slot);
    if (!claimed.empty() && limit < kSlots) break;
  }
  return claimed;
}

ImageRange StateBlock::ClaimLastMissing(ImageRange pages, PageCount most) {
  ImageRange claimed{pages.first, PageCount(0)};
  const uint64_t first = IndexOf(pages.first);
  uint64_t limit = IndexOf(pages.limit());
  while (first < limit && claimed.count < most) {
    const uint64_t base = (limit - 1) / kSlots * kSlots;
    const uint64_t lowest = first > base ? first - base : 0;
    const uint64_t room = std::min(kSlots, (most - claimed.count).raw());
    Word& word = words()[base / kSlots];
    uint64_t old = word.load(std::memory_order_acquire);
    uint64_t slot;
    uint64_t slot_limit;
    do {
      uint64_t missing =
          MaskOf(old, PageState::kMissing) & MaskOfSlots(lowest, limit - base);
      slot_limit = claimed.empty() && missing != 0 ? LastSlot(missing) + 1
                                                   : limit - base;
      slot = std::max(FirstSlotOfRun(missing, slot_limit),
                      slot_limit - std::min(room, slot_limit));
    } while (slot < slot_limit &&
             !word.compare_exchange_weak(
                 old,
                 WithState(old, MaskOfSlots(slot, slot_limit),
                           PageState::kRequested),
                 std::memory_order_acq_rel, std::memory_order_acquire));
    if (slot < slot_limit) {
      claimed = {first_ + PageCount(base + slot),
                 claimed.count + PageCount(slot_limit - slot)};
    }
    if (!claimed.empty() && lowest < slot) break;
    limit = base;
  }
  return claimed;
}

size_t StateBlock::MemoryUsage(PageCount count) {
  return HeapBytes(sizeof(StateBlock) + WordsFor(count) * sizeof(Word));
}

}  // namespace pagelift
