#ifndef PAGELIFT_LIB_MEMORY_STATE_BLOCK_H_
#define PAGELIFT_LIB_MEMORY_STATE_BLOCK_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "lib/memory/page.h"
#include "lib/memory/page_state.h"

namespace pagelift {

// The states of a run of image pages, two bits each, 32 to an atomic word.
//
// The pages keep their numbers for ever, so the extents that a split leaves go
// on sharing their block, wherever in the target they are moved.
//
// Concurrency: states are read and changed by any number of threads at once.
// Who makes, shares and drops Refs needs exclusive access to all of a block's.
//
// Memory order: whoever sees a state that a transition left also sees what its
// thread did before (a page that reads as present was installed). Between
// different pages nothing is ordered, and a scan sees each word at a moment of
// its own.
class StateBlock {
 public:
  // One of the owners of a block; the last to go frees it. Sharing is spelled
  // out, because it is not for those who look things up.
  class Ref {
   public:
    Ref() = default;
    Ref(Ref&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
    Ref& operator=(Ref&& other) noexcept;
    ~Ref();
    Ref Share() const;
    bool is_last() const { return block_->refs_ == 1; }
    StateBlock& operator*() const { return *block_; }
    StateBlock* operator->() const { return block_; }
    explicit operator bool() const { return block_ != nullptr; }
    friend bool operator==(const Ref& a, const Ref& b) {
      return a.block_ == b.block_;
    }

   private:
    friend class StateBlock;
    explicit Ref(StateBlock* block) : block_(block) {}
    StateBlock* block_ = nullptr;
  };

  // All pages missing; null if there is no memory for it. Big blocks take
  // memory as their words are first changed.
  static Ref New(ImageRange pages);
  // A block of `pages` only, with the states they have here.
  Ref CopyOf(ImageRange pages) const;

  // REQUIRES, from here on: the pages lie in the block.
  PageState Get(ImagePage page) const;
  PageStateCounts Count(ImageRange pages) const;

  // The first longest run of `pages` that are in one of `states`; empty if no
  // page is.
  ImageRange FindRun(ImageRange pages, PageStates states) const;

  // Moves `page` from one of `from` to `to` and returns the state it was in;
  // nothing, and no change, if that is none of them.
  std::optional<PageState> Transition(ImagePage page, PageStates from,
                                      PageState to);

  // The same for each of `pages`; returns the states that those which changed
  // were in.
  PageStateCounts TransitionRange(ImageRange pages, PageStates from,
                                  PageState to);

  // Moves the first missing one of `pages` and the missing ones that follow it
  // to kRequested, at most `most` of them.
  ImageRange ClaimMissing(ImageRange pages, PageCount most);
  // The same with the last missing one, and those that lead up to it.
  ImageRange ClaimLastMissing(ImageRange pages, PageCount most);

  // What a block of `count` pages takes from the heap.
  static size_t MemoryUsage(PageCount count);
  size_t MemoryUsage() const { return MemoryUsage(count_); }

 private:
  using Word = std::atomic<uint64_t>;

  explicit StateBlock(ImageRange pages)
      : first_(pages.first), count_(pages.count) {}

  // The words follow the object.
  Word* words() { return reinterpret_cast<Word*>(this + 1); }
  const Word* words() const { return reinterpret_cast<const Word*>(this + 1); }
  // Of a page, or of the limit of a range.
  uint64_t IndexOf(ImagePage page) const;

  ImagePage first_;
  PageCount count_;
  uint32_t refs_ = 1;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_MEMORY_STATE_BLOCK_H_
