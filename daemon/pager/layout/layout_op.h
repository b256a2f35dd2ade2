#ifndef PAGELIFT_DAEMON_PAGER_LAYOUT_LAYOUT_OP_H_
#define PAGELIFT_DAEMON_PAGER_LAYOUT_LAYOUT_OP_H_

#include <cstdint>
#include <type_traits>

namespace pagelift {

// One change of a SpaceLayout, as it is kept in a journal: in memory that
// another version of this program may read. So numbers are never given a new
// meaning; what a version does not know it refuses. Numbers are of pages.
struct LayoutOp {
  enum class Kind : uint32_t {
    kExtent = 1,            // Target [a, a + b) comes from image page c on.
    kErase = 2,             // [a, a + b) leaves the map.
    kMove = 3,              // [a, a + c) of the map lies at b.
    kLose = 4,              // Image [a, a + b) is lost, where it is wanted.
    kInsert = 5,            // [a, a + b) into `set`.
    kRemove = 6,            // [a, a + b) out of `set`.
    kClear = 7,             // All of `set`.
    kMovedIn = 8,           // Into [a, a + b), of a mapping that begins at c.
    kForgetOldestMove = 9,  // Of those.
    kForgetMovesIn = 10,    // The parts of those in [a, a + b).
    kForgetMoves = 11,      // All of those.
    kDisregard = 12,        // Of an unmap event from a on, [b, b + c).
    kForgetDisregardedFrom = 13,  // Those of events from a on.
    kForgetDisregardedIn = 14,    // Those that overlap [a, a + b).
    kForgetDisregarded = 15,      // All of those.
  };
  // The sets of SpaceLayout, which says what they are.
  enum class Set : uint32_t {
    kRegions = 0,
    kUnmapsDue = 1,
    kDisplaced = 2,
    kVacated = 3,
    kGrowing = 4,
  };
  static constexpr uint32_t kSets = 5;

  Kind kind;
  Set set;  // kRegions where there is none.
  uint64_t a;
  uint64_t b;
  uint64_t c;

  friend bool operator==(const LayoutOp& x, const LayoutOp& y) {
    return x.kind == y.kind && x.set == y.set && x.a == y.a && x.b == y.b &&
           x.c == y.c;
  }
};
static_assert(sizeof(LayoutOp) == 32 && std::is_trivial_v<LayoutOp>);

// Where the changes of a layout are written down.
class LayoutLog {
 public:
  virtual ~LayoutLog() = default;
  virtual void Append(const LayoutOp& op) = 0;
};

}  // namespace pagelift

#endif  // PAGELIFT_DAEMON_PAGER_LAYOUT_LAYOUT_OP_H_
