#ifndef PAGELIFT_LIB_MEMORY_PAGE_H_
#define PAGELIFT_LIB_MEMORY_PAGE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>

namespace pagelift {

// Units of memory as types, so that an address, a page number, a count and a
// place in an image cannot be passed one for the other. A target's address
// never becomes a pointer of ours. All are 64-bit values; arithmetic that would
// wrap is the caller's to prevent (numbers from outside are checked where they
// are decoded).

inline constexpr uint64_t kPageShift = 12;
inline constexpr uint64_t kPageSize = uint64_t{1} << kPageShift;

// A number of pages.
class PageCount {
 public:
  constexpr PageCount() = default;
  explicit constexpr PageCount(uint64_t count) : count_(count) {}
  constexpr uint64_t raw() const { return count_; }
  constexpr uint64_t bytes() const { return count_ << kPageShift; }

  friend constexpr bool operator==(PageCount a, PageCount b) {
    return a.count_ == b.count_;
  }
  friend constexpr bool operator!=(PageCount a, PageCount b) {
    return a.count_ != b.count_;
  }
  friend constexpr bool operator<(PageCount a, PageCount b) {
    return a.count_ < b.count_;
  }
  friend constexpr PageCount operator+(PageCount a, PageCount b) {
    return PageCount(a.count_ + b.count_);
  }
  friend constexpr PageCount operator-(PageCount a, PageCount b) {
    return PageCount(a.count_ - b.count_);
  }

 private:
  uint64_t count_ = 0;
};

// A page of some space of pages: the tag keeps spaces apart.
template <typename Space>
class PageNumber {
 public:
  constexpr PageNumber() = default;
  explicit constexpr PageNumber(uint64_t number) : number_(number) {}
  constexpr uint64_t raw() const { return number_; }

  friend constexpr bool operator==(PageNumber a, PageNumber b) {
    return a.number_ == b.number_;
  }
  friend constexpr bool operator!=(PageNumber a, PageNumber b) {
    return a.number_ != b.number_;
  }
  friend constexpr bool operator<(PageNumber a, PageNumber b) {
    return a.number_ < b.number_;
  }
  friend constexpr bool operator<=(PageNumber a, PageNumber b) {
    return a.number_ <= b.number_;
  }
  friend constexpr PageNumber operator+(PageNumber a, PageCount n) {
    return PageNumber(a.number_ + n.raw());
  }
  friend constexpr PageNumber operator-(PageNumber a, PageCount n) {
    return PageNumber(a.number_ - n.raw());
  }
  // REQUIRES: b <= a.
  friend constexpr PageCount operator-(PageNumber a, PageNumber b) {
    return PageCount(a.number_ - b.number_);
  }
  template <typename H>
  friend H AbslHashValue(H h, PageNumber p) {
    return H::combine(std::move(h), p.number_);
  }

 private:
  uint64_t number_ = 0;
};

// Pages [first, first + count) of one space.
template <typename Number>
struct NumberRange {
  Number first;
  PageCount count;

  constexpr Number limit() const { return first + count; }
  constexpr bool empty() const { return count == PageCount(0); }
  constexpr bool Contains(Number p) const { return first <= p && p < limit(); }
  constexpr bool Contains(NumberRange other) const {
    return first <= other.first && other.limit() <= limit();
  }
  constexpr bool Overlaps(NumberRange other) const {
    return first < other.limit() && other.first < limit();
  }
  static constexpr NumberRange Between(Number first, Number limit) {
    return {first, limit <= first ? PageCount(0) : limit - first};
  }
  // The common part; empty (with an unspecified first) if there is none.
  constexpr NumberRange Intersect(NumberRange other) const {
    return Between(std::max(first, other.first),
                   std::min(limit(), other.limit()));
  }
  friend constexpr bool operator==(NumberRange a, NumberRange b) {
    return a.first == b.first && a.count == b.count;
  }
  friend constexpr bool operator!=(NumberRange a, NumberRange b) {
    return !(a == b);
  }
};

// A page of a target's address space: address / 4096.
struct TargetSpace;
using PageId = PageNumber<TargetSpace>;
using PageRange = NumberRange<PageId>;

// A page of a checkpoint image. Every page to be served has one number,
// whatever file or parent image its contents lie in; see image_description.h.
struct ImageSpace;
using ImagePage = PageNumber<ImageSpace>;
using ImageRange = NumberRange<ImagePage>;

constexpr PageId PageContaining(uint64_t address) {
  return PageId(address >> kPageShift);
}
constexpr uint64_t AddressOf(PageId page) { return page.raw() << kPageShift; }

// All pages from `first` on.
constexpr PageRange PagesFrom(PageId first) {
  return PageRange::Between(first, PageId(~uint64_t{0}));
}

// The pages of [start, limit), byte addresses on page boundaries.
constexpr PageRange PagesOf(uint64_t start, uint64_t limit) {
  return PageRange::Between(PageContaining(start), PageContaining(limit));
}

// "[0x7f0000000000..0x7f0000003000 3p]"
std::string ToString(PageRange range);
// "[12..15 3p]"
std::string ToString(ImageRange range);

std::ostream& operator<<(std::ostream& out, PageCount count);
std::ostream& operator<<(std::ostream& out, PageId page);
std::ostream& operator<<(std::ostream& out, ImagePage page);
std::ostream& operator<<(std::ostream& out, PageRange range);
std::ostream& operator<<(std::ostream& out, ImageRange range);

}  // namespace pagelift

#endif  // PAGELIFT_LIB_MEMORY_PAGE_H_
