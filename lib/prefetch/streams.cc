#include "lib/prefetch/streams.h"

#include <algorithm>
#include <cstdlib>

namespace pagelift {
namespace {

constexpr int64_t kLongestStep = 64;
constexpr uint64_t kFirstWindow = 4;
constexpr uint64_t kLargestWindow = 64;
constexpr int kMostMisses = 2;
constexpr size_t kMostStreams = 8;
// Faults of other streams may come between two of one.
constexpr size_t kRecent = 16;

}  // namespace

void Streams::OnFault(const DemandFault& fault) {
  const auto page = static_cast<int64_t>(fault.page.raw());
  ++faults_;
  if (Continues(page)) return;
  Open(page);
  recent_.push_front(page);
  if (recent_.size() > kRecent) recent_.pop_back();
}

bool Streams::Continues(int64_t page) {
  for (auto stream = streams_.begin(); stream != streams_.end(); ++stream) {
    // From the stream's frontier, in steps: what it has not brought yet, or a
    // page on the way that it could not bring.
    const int64_t ahead = page - stream->next;
    const int64_t steps = ahead / stream->step;
    const auto window = static_cast<int64_t>(stream->window);
    if (steps < -window || window < steps) continue;
    if (ahead % stream->step != 0) {
      stream->window = std::max(kFirstWindow, stream->window / 2);
      stream->left = std::min(stream->left, stream->window);
      if (++stream->misses >= kMostMisses) streams_.erase(stream);
      return false;
    }
    stream->misses = 0;
    stream->used_at = faults_;
    if (0 <= steps) {
      stream->next = page + stream->step;
      stream->window = std::min(kLargestWindow, stream->window * 2);
      stream->left = stream->window;
    }
    return true;
  }
  return false;
}

void Streams::Open(int64_t page) {
  for (int64_t before : recent_) {
    const int64_t step = page - before;
    if (step == 0 || kLongestStep < std::abs(step)) continue;
    if (std::find(recent_.begin(), recent_.end(), before - step) ==
        recent_.end()) {
      continue;
    }
    if (streams_.size() == kMostStreams) {
      streams_.erase(std::min_element(streams_.begin(), streams_.end(),
                                      [](const Stream& a, const Stream& b) {
                                        return a.used_at < b.used_at;
                                      }));
    }
    Stream stream;
    stream.step = step;
    stream.next = page + step;
    stream.window = kFirstWindow;
    stream.left = kFirstWindow;
    stream.used_at = faults_;
    streams_.push_back(stream);
    return;
  }
}

std::optional<PageMap::Piece> Streams::Next(MissingPages& pages,
                                            PageCount most) {
  for (Stream& stream : streams_) {
    while (stream.left > 0) {
      std::optional<PageMap::Piece> piece = Bring(stream, pages, most);
      if (piece.has_value()) return piece;
    }
  }
  return std::nullopt;
}

std::optional<PageMap::Piece> Streams::Bring(Stream& stream,
                                             MissingPages& pages,
                                             PageCount most) {
  const auto limit = static_cast<int64_t>(kEveryPage.limit().raw());
  if (stream.next < 0 || limit <= stream.next) {
    stream.left = 0;
    return std::nullopt;
  }
  // Neighbours go together.
  const bool dense = std::abs(stream.step) == 1;
  const uint64_t steps =
      dense ? std::min({stream.left, most.raw(),
                        static_cast<uint64_t>(stream.step < 0
                                                  ? stream.next + 1
                                                  : limit - stream.next)})
            : 1;
  const auto length = static_cast<int64_t>(steps);
  const int64_t first =
      stream.step == -1 ? stream.next - length + 1 : stream.next;
  const PageRange range{PageId(static_cast<uint64_t>(first)), PageCount(steps)};
  std::optional<PageMap::Piece> piece = stream.step < 0
                                            ? pages.ClaimLast(range, most)
                                            : pages.ClaimFirst(range, most);
  uint64_t taken = steps;
  if (piece.has_value() && dense) {
    taken = stream.step < 0 ? (range.limit() - piece->pages.first).raw()
                            : (piece->pages.limit() - range.first).raw();
  }
  stream.next += stream.step * static_cast<int64_t>(taken);
  stream.left -= taken;
  return piece;
}

}  // namespace pagelift
