#include "lib/memory/testing/page_map_model.h"

#include <algorithm>

namespace pagelift {
namespace {

constexpr PageCount kOne(1);
constexpr PageStates kAnyState = PageStates(PageState::kMissing) |
                                 PageState::kRequested | PageState::kPresent |
                                 PageState::kLost;

}  // namespace

bool PageMapModel::ContinuesBefore(PageId page) const {
  if (page == base_ || !at(page) || !at(page - kOne)) return false;
  const Cell& before = *at(page - kOne);
  const Cell& cell = *at(page);
  return before.image + kOne == cell.image && before.origin == cell.origin;
}

bool PageMapModel::Add(PageRange pages, ImagePage image) {
  ImageRange images{image, pages.count};
  if (pages.empty()) return false;
  for (PageId p = base_; p < space().limit(); p = p + kOne) {
    if (!at(p)) continue;
    if (pages.Contains(p) || images.Contains(at(p)->image)) return false;
  }
  uint64_t origin = next_origin_++;
  for (PageId p = pages.first; p < pages.limit(); p = p + kOne) {
    at(p) = Cell{image + (p - pages.first), PageState::kMissing, origin};
  }
  return true;
}

void PageMapModel::Erase(PageRange pages) {
  for (PageId p = pages.first; p < pages.limit(); p = p + kOne) at(p).reset();
}

void PageMapModel::Move(PageId from, PageId to, PageCount count) {
  std::vector<std::optional<Cell>> moved;
  for (PageId p = from; p < from + count; p = p + kOne) moved.push_back(at(p));
  Erase({from, count});
  for (PageId p = to; p < to + count; p = p + kOne) {
    at(p) = moved[(p - to).raw()];
  }
}

PageMapModel PageMapModel::Fork() const {
  PageMapModel child = *this;
  for (PageId p = base_; p < space().limit(); p = p + kOne) {
    if (!at(p)) continue;
    child.at(p)->origin =
        ContinuesBefore(p) ? child.at(p - kOne)->origin : child.next_origin_++;
  }
  return child;
}

std::optional<PageMap::Location> PageMapModel::Find(PageId page) const {
  if (!at(page)) return std::nullopt;
  return PageMap::Location{at(page)->state, at(page)->image};
}

PageRange PageMapModel::UncoveredAround(PageId page, PageRange bounds) const {
  if (!bounds.Contains(page) || at(page)) return {page, PageCount(0)};
  PageId first = page;
  PageId limit = page + kOne;
  while (bounds.first < first && !at(first - kOne)) first = first - kOne;
  while (limit < bounds.limit() && !at(limit)) limit = limit + kOne;
  return PageRange::Between(first, limit);
}

std::vector<PageMap::Piece> PageMapModel::RunsIn(PageRange pages,
                                                 PageStates states) const {
  std::vector<PageMap::Piece> runs;
  for (PageId p = pages.first; p < pages.limit(); p = p + kOne) {
    if (!at(p) || !states.Has(at(p)->state)) continue;
    if (ContinuesBefore(p) && !runs.empty() && runs.back().pages.limit() == p) {
      runs.back().pages.count = runs.back().pages.count + kOne;
    } else {
      runs.push_back({{p, kOne}, at(p)->image});
    }
  }
  return runs;
}

std::vector<PageMap::Piece> PageMapModel::Targets(ImageRange image,
                                                  PageStates states) const {
  std::vector<PageMap::Piece> targets;
  for (PageMap::Piece run : RunsIn(space(), states)) {
    ImageRange part = run.image_range().Intersect(image);
    if (part.empty()) continue;
    PageId first = run.pages.first + (part.first - run.image);
    targets.push_back({{first, part.count}, part.first});
  }
  std::sort(targets.begin(), targets.end(),
            [](const PageMap::Piece& a, const PageMap::Piece& b) {
              return a.image < b.image;
            });
  return targets;
}

PageMap::Counts PageMapModel::counts() const {
  PageMap::Counts counts;
  for (const std::optional<Cell>& cell : cells_) {
    if (!cell) continue;
    PageCount* counters[] = {&counts.missing, &counts.requested,
                             &counts.present, &counts.lost};
    PageCount& counter = *counters[static_cast<size_t>(cell->state)];
    counter = counter + kOne;
  }
  return counts;
}

size_t PageMapModel::extent_count() const {
  return RunsIn(space(), kAnyState).size();
}

bool PageMapModel::Transition(PageId page, PageStates from, PageState to) {
  if (!at(page) || !from.Has(at(page)->state)) return false;
  at(page)->state = to;
  return true;
}

PageCount PageMapModel::TransitionRange(PageRange pages, PageStates from,
                                        PageState to) {
  PageCount changed;
  for (PageId p = pages.first; p < pages.limit(); p = p + kOne) {
    if (Transition(p, from, to)) changed = changed + kOne;
  }
  return changed;
}

std::optional<PageMap::Piece> PageMapModel::Claim(const PageMap::Piece& piece) {
  TransitionRange(piece.pages, PageState::kMissing, PageState::kRequested);
  return piece;
}

std::optional<PageMap::Piece> PageMapModel::ClaimMissing(PageRange within,
                                                         PageCount most) {
  const auto runs = RunsIn(within, PageState::kMissing);
  if (runs.empty() || most == PageCount(0)) return std::nullopt;
  PageMap::Piece first = runs.front();
  first.pages.count = std::min(first.pages.count, most);
  return Claim(first);
}

std::optional<PageMap::Piece> PageMapModel::ClaimLastMissing(PageRange within,
                                                             PageCount most) {
  const auto runs = RunsIn(within, PageState::kMissing);
  if (runs.empty() || most == PageCount(0)) return std::nullopt;
  PageMap::Piece last = runs.back();
  const PageCount left_out =
      last.pages.count - std::min(last.pages.count, most);
  return Claim({{last.pages.first + left_out, last.pages.count - left_out},
                last.image + left_out});
}

std::optional<PageMap::Piece> PageMapModel::ClaimImage(ImageRange image,
                                                       PageCount most) {
  const auto targets = Targets(image, PageState::kMissing);
  if (targets.empty() || most == PageCount(0)) return std::nullopt;
  PageMap::Piece first = targets.front();
  first.pages.count = std::min(first.pages.count, most);
  return Claim(first);
}

}  // namespace pagelift
