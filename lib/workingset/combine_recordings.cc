#include "lib/workingset/combine_recordings.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <tuple>
#include <vector>

namespace pagelift {
namespace {

constexpr ImagePage kNoPage(std::numeric_limits<uint64_t>::max());

// Pages that are in the same recordings, and in one run of the newest of them.
struct Piece {
  ImageRange pages;
  bool shared;
  size_t newest;
  size_t run;
};

bool ComesBefore(const Piece& a, const Piece& b) {
  return std::tuple(!a.shared, a.newest, a.run, a.pages.first) <
         std::tuple(!b.shared, b.newest, b.run, b.pages.first);
}

// Goes through the pages of a recording in image order. Thread-compatible.
class Walk {
 public:
  explicit Walk(const Recording& recording) {
    const std::vector<ImageRange>& runs = recording.runs();
    runs_.reserve(runs.size());
    for (size_t i = 0; i < runs.size(); ++i) runs_.push_back({runs[i], i});
    std::sort(runs_.begin(), runs_.end(), [](const Run& a, const Run& b) {
      return a.pages.first < b.pages.first;
    });
  }

  // To `page`, which is not before where it is.
  void GoTo(ImagePage page) {
    while (next_ < runs_.size() && runs_[next_].pages.limit() <= page) ++next_;
    page_ = page;
  }

  // The run that it is in.
  std::optional<size_t> run() const {
    if (next_ == runs_.size() || page_ < runs_[next_].pages.first) {
      return std::nullopt;
    }
    return runs_[next_].number;
  }
  // Up to where that remains so.
  ImagePage limit() const {
    if (next_ == runs_.size()) return kNoPage;
    return run() ? runs_[next_].pages.limit() : runs_[next_].pages.first;
  }

 private:
  struct Run {
    ImageRange pages;
    size_t number;
  };

  std::vector<Run> runs_;
  size_t next_ = 0;  // The first that ends after page_.
  ImagePage page_;
};

// All pages of all recordings, in image order.
std::vector<Piece> Cut(absl::Span<const KeptRecording> newest_first) {
  std::vector<Walk> walks;
  for (const KeptRecording& kept : newest_first) {
    walks.emplace_back(kept.recording);
  }
  std::vector<Piece> pieces;
  for (ImagePage page; page != kNoPage;) {
    Piece piece = {{page, PageCount(0)}, false, walks.size(), 0};
    ImagePage limit = kNoPage;
    for (size_t i = 0; i < walks.size(); ++i) {
      walks[i].GoTo(page);
      limit = std::min(limit, walks[i].limit());
      const std::optional<size_t> run = walks[i].run();
      if (!run) continue;
      piece.shared = piece.newest < i;
      if (!piece.shared) std::tie(piece.newest, piece.run) = std::tie(i, *run);
    }
    piece.pages = ImageRange::Between(page, limit);
    if (piece.newest < walks.size()) pieces.push_back(piece);
    page = limit;
  }
  return pieces;
}

}  // namespace

CombinedRecordings CombineRecordings(
    absl::Span<const KeptRecording> newest_first) {
  std::vector<Piece> pieces = Cut(newest_first);
  std::sort(pieces.begin(), pieces.end(), ComesBefore);
  CombinedRecordings combined;
  for (const Piece& piece : pieces) {
    const bool all = combined.order.Append(piece.pages);
    if (piece.shared) combined.shared = combined.order.page_count();
    if (!all) break;
  }
  return combined;
}

}  // namespace pagelift
