#include "lib/workingset/combine_recordings.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace pagelift {
namespace {

constexpr ImagePage kNoPage(std::numeric_limits<uint64_t>::max());

// Which pages are in a recording. Thread-compatible.
class PagesOfRecording {
 public:
  // From a page on, pages that are all in it, or all not.
  struct Stretch {
    bool in_it;
    ImagePage limit;
  };

  explicit PagesOfRecording(const Recording& recording)
      : runs_(recording.runs()) {
    std::sort(runs_.begin(), runs_.end(),
              [](const ImageRange& a, const ImageRange& b) {
                return a.first < b.first;
              });
  }

  Stretch StretchFrom(ImagePage page) const {
    auto run = std::partition_point(
        runs_.begin(), runs_.end(),
        [page](const ImageRange& r) { return r.limit() <= page; });
    if (run == runs_.end()) return {false, kNoPage};
    return run->first <= page ? Stretch{true, run->limit()}
                              : Stretch{false, run->first};
  }

 private:
  std::vector<ImageRange> runs_;
};

// The first pages of `range` that are all in the same recordings.
struct Piece {
  ImageRange pages;
  bool in_newer;  // In one that is newer than the recording `of`.
  bool in_older;
};

Piece FirstPiece(ImageRange range, size_t of,
                 absl::Span<const PagesOfRecording> all) {
  Piece piece = {range, false, false};
  ImagePage limit = range.limit();
  for (size_t i = 0; i < all.size(); ++i) {
    if (i == of) continue;
    const PagesOfRecording::Stretch stretch = all[i].StretchFrom(range.first);
    limit = std::min(limit, stretch.limit);
    if (stretch.in_it) (i < of ? piece.in_newer : piece.in_older) = true;
  }
  piece.pages = ImageRange::Between(range.first, limit);
  return piece;
}

}  // namespace

CombinedRecordings CombineRecordings(
    absl::Span<const KeptRecording> newest_first) {
  std::vector<PagesOfRecording> all;
  for (const KeptRecording& kept : newest_first) {
    all.emplace_back(kept.recording);
  }
  CombinedRecordings combined;
  for (const bool shared : {true, false}) {
    for (size_t of = 0; of < all.size(); ++of) {
      for (ImageRange rest : newest_first[of].recording.runs()) {
        while (!rest.empty()) {
          const Piece piece = FirstPiece(rest, of, all);
          // What a newer one has is in the order by that.
          if (!piece.in_newer && piece.in_older == shared &&
              !combined.order.Append(piece.pages)) {
            return combined;
          }
          if (shared) combined.shared = combined.order.page_count();
          rest = ImageRange::Between(piece.pages.limit(), rest.limit());
        }
      }
    }
  }
  return combined;
}

}  // namespace pagelift
