#ifndef PAGELIFT_LIB_UFFD_ENUM_SET_H_
#define PAGELIFT_LIB_UFFD_ENUM_SET_H_

#include <cstdint>

namespace pagelift {

// A set of values of an enum whose values are the kernel's bit numbers.
//
// A value type; thread-compatible.
template <typename Enum>
class EnumSet {
 public:
  constexpr EnumSet() = default;
  constexpr EnumSet(Enum value)  // NOLINT(google-explicit-constructor)
      : bits_(uint64_t{1} << static_cast<unsigned>(value)) {}

  // From and to the kernel's mask; bits without a name are kept.
  static constexpr EnumSet FromBits(uint64_t bits) {
    EnumSet set;
    set.bits_ = bits;
    return set;
  }
  constexpr uint64_t bits() const { return bits_; }

  constexpr bool empty() const { return bits_ == 0; }
  constexpr bool Has(Enum value) const { return HasAll(EnumSet(value)); }
  constexpr bool HasAll(EnumSet other) const {
    return (other.bits_ & ~bits_) == 0;
  }

  friend constexpr EnumSet operator|(EnumSet a, EnumSet b) {
    return FromBits(a.bits_ | b.bits_);
  }
  friend constexpr EnumSet operator&(EnumSet a, EnumSet b) {
    return FromBits(a.bits_ & b.bits_);
  }
  // What is in `a` and not in `b`.
  friend constexpr EnumSet operator-(EnumSet a, EnumSet b) {
    return FromBits(a.bits_ & ~b.bits_);
  }
  friend constexpr bool operator==(EnumSet a, EnumSet b) {
    return a.bits_ == b.bits_;
  }
  friend constexpr bool operator!=(EnumSet a, EnumSet b) {
    return a.bits_ != b.bits_;
  }

 private:
  uint64_t bits_ = 0;
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_UFFD_ENUM_SET_H_
