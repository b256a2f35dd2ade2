#include "lib/memory/testing/page_map_exerciser.h"

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <sstream>
#include <utility>

namespace pagelift {
namespace {

constexpr PageState kStates[] = {PageState::kMissing, PageState::kRequested,
                                 PageState::kPresent, PageState::kLost};

PageState DecideState(DecisionBytes& decisions) {
  return kStates[decisions.Below(4)];
}

PageStates DecideStates(DecisionBytes& decisions) {
  uint64_t bits = decisions.Below(16);
  PageStates states;
  for (uint64_t i = 0; i < 4; ++i) {
    if (bits >> i & 1) states = states | kStates[i];
  }
  return states;
}

void Print(std::ostream& out, const PageMap::Piece& piece) {
  out << piece.pages << " from " << piece.image;
}
void Print(std::ostream& out, const PageMap::Location& location) {
  out << location.state << " " << location.image;
}
template <typename T>
void Print(std::ostream& out, const T& value) {
  out << value;
}
template <typename T>
void Print(std::ostream& out, const std::optional<T>& value) {
  if (value.has_value()) {
    Print(out, *value);
  } else {
    out << "nothing";
  }
}
template <typename T>
void Print(std::ostream& out, const std::vector<T>& values) {
  for (const T& value : values) {
    Print(out, value);
    out << "; ";
  }
}

bool Same(const PageMap::Piece& a, const PageMap::Piece& b) {
  return a.pages == b.pages && a.image == b.image;
}
bool Same(const PageMap::Location& a, const PageMap::Location& b) {
  return a.state == b.state && a.image == b.image;
}
template <typename T>
bool Same(const T& a, const T& b) {
  return a == b;
}
template <typename T>
bool Same(const std::optional<T>& a, const std::optional<T>& b) {
  return a.has_value() == b.has_value() && (!a.has_value() || Same(*a, *b));
}
template <typename T>
bool Same(const std::vector<T>& a, const std::vector<T>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const T& x, const T& y) { return Same(x, y); });
}

// How two answers to one question differ; empty if they do not.
template <typename T>
std::string Differ(const char* question, const T& map, const T& model) {
  if (Same(map, model)) return "";
  std::ostringstream map_text;
  std::ostringstream model_text;
  Print(map_text, map);
  Print(model_text, model);
  return std::string(question) + ":\n  map   " + map_text.str() + "\n  model " +
         model_text.str();
}

std::string FirstOf(std::initializer_list<std::string> differences) {
  for (const std::string& difference : differences) {
    if (!difference.empty()) return difference;
  }
  return "";
}

std::vector<PageMap::Piece> RunsIn(const PageMap& map, PageRange pages,
                                   PageStates states) {
  std::vector<PageMap::Piece> runs;
  map.ForEachIn(pages, states,
                [&](const PageMap::Piece& run) { runs.push_back(run); });
  return runs;
}

std::vector<PageMap::Piece> Targets(const PageMap& map, ImageRange image,
                                    PageStates states) {
  std::vector<PageMap::Piece> targets;
  map.ForEachTarget(image, states, [&](const PageMap::Piece& target) {
    targets.push_back(target);
  });
  return targets;
}

}  // namespace

uint8_t DecisionBytes::Take() {
  if (bytes_.empty()) return 0;
  uint8_t byte = bytes_.front();
  bytes_.remove_prefix(1);
  return byte;
}

uint64_t DecisionBytes::Below(uint64_t limit) {
  uint64_t value = Take();
  if (limit > 256) value = value << 8 | Take();
  return value % limit;
}

PageMapExerciser::PageMapExerciser(PageId base, ImagePage image_base,
                                   PageCount space)
    : space_{base, space},
      image_space_{image_base, space},
      last_from_{base, PageCount(0)},
      last_to_(base),
      model_(base, space) {}

PageId PageMapExerciser::DecidePage(DecisionBytes& decisions) const {
  return space_.first + PageCount(decisions.Below(space_.count.raw()));
}

PageRange PageMapExerciser::DecideRange(DecisionBytes& decisions) const {
  PageId first = DecidePage(decisions);
  uint64_t room = (space_.limit() - first).raw();
  // Short ones are likelier, and now and then one is as long as can be.
  uint64_t most = std::min(room, uint64_t{1} << decisions.Below(12));
  return {first, PageCount(decisions.Below(most + 1))};
}

std::string PageMapExerciser::Step(DecisionBytes& decisions) {
  std::string difference = Operate(decisions);
  if (difference.empty()) difference = Compare();
  if (difference.empty()) difference = CompareParts(decisions);
  return difference;
}

std::string PageMapExerciser::Operate(DecisionBytes& decisions) {
  switch (decisions.Below(12)) {
    case 0:
    case 1:
    case 2: {
      PageRange pages = DecideRange(decisions);
      uint64_t room = (image_space_.count - pages.count).raw();
      ImagePage image =
          image_space_.first + PageCount(decisions.Below(room + 1));
      return Differ("Add", map_.Add(pages, image).ok(),
                    model_.Add(pages, image));
    }
    case 3: {
      PageRange pages = DecideRange(decisions);
      map_.Erase(pages);
      model_.Erase(pages);
      return "";
    }
    case 4: {
      PageRange pages = DecideRange(decisions);
      uint64_t room = (space_.count - pages.count).raw();
      last_from_ = pages;
      last_to_ = space_.first + PageCount(decisions.Below(room + 1));
      map_.Move(last_from_.first, last_to_, last_from_.count);
      model_.Move(last_from_.first, last_to_, last_from_.count);
      return "";
    }
    case 5:  // And back, so that pieces meet again.
      map_.Move(last_to_, last_from_.first, last_from_.count);
      model_.Move(last_to_, last_from_.first, last_from_.count);
      return "";
    case 6:
      return Fork(decisions.Below(2) == 1);
    case 7: {
      PageId page = DecidePage(decisions);
      PageStates from = DecideStates(decisions);
      PageState to = DecideState(decisions);
      return Differ("Transition", map_.Transition(page, from, to),
                    model_.Transition(page, from, to));
    }
    case 8: {
      PageRange pages = DecideRange(decisions);
      PageStates from = DecideStates(decisions);
      PageState to = DecideState(decisions);
      return Differ("TransitionRange", map_.TransitionRange(pages, from, to),
                    model_.TransitionRange(pages, from, to));
    }
    default:
      return Claim(decisions);
  }
}

std::string PageMapExerciser::Claim(DecisionBytes& decisions) {
  // Often everywhere, as one who looks for the rest does.
  const bool everywhere = decisions.Below(2) == 0;
  const PageRange range = everywhere ? space_ : DecideRange(decisions);
  const PageRange within = everywhere ? PagesFrom(PageId(0)) : range;
  const PageCount most(decisions.Below(300));
  switch (decisions.Below(3)) {
    case 0:
      return Differ("ClaimMissing", map_.ClaimMissing(within, most),
                    model_.ClaimMissing(range, most));
    case 1:
      return Differ("ClaimLastMissing", map_.ClaimLastMissing(within, most),
                    model_.ClaimLastMissing(range, most));
    default: {
      const ImageRange image{image_space_.first + (range.first - space_.first),
                             range.count};
      return Differ("ClaimImage", map_.ClaimImage(image, most),
                    model_.ClaimImage(image, most));
    }
  }
}

std::string PageMapExerciser::Fork(bool go_on_as_child) {
  PageMap other = map_.Fork();
  PageMapModel other_model = model_.Fork();
  if (go_on_as_child) {
    std::swap(map_, other);
    std::swap(model_, other_model);
  }
  // What befalls one is not to be seen by the other.
  other.TransitionRange(space_, PageState::kMissing, PageState::kLost);
  other.Erase({space_.first, PageCount(space_.count.raw() / 2)});
  return "";
}

std::string PageMapExerciser::Compare() const {
  for (PageState state : kStates) {
    std::string difference = FirstOf({
        Differ("ForEachIn all", RunsIn(map_, space_, state),
               model_.RunsIn(space_, state)),
        Differ("ForEachTarget all", Targets(map_, image_space_, state),
               model_.Targets(image_space_, state)),
    });
    if (!difference.empty()) return difference;
  }
  return FirstOf({
      Differ("counts", map_.counts(), model_.counts()),
      Differ("extent_count", map_.extent_count(), model_.extent_count()),
  });
}

std::string PageMapExerciser::CompareParts(DecisionBytes& decisions) const {
  PageRange pages = DecideRange(decisions);
  PageId page = DecidePage(decisions);
  PageStates states = DecideStates(decisions);
  ImageRange image{image_space_.first + (pages.first - space_.first),
                   pages.count};
  return FirstOf({
      Differ("Find", map_.Find(page), model_.Find(page)),
      Differ("UncoveredAround", map_.UncoveredAround(page, pages),
             model_.UncoveredAround(page, pages)),
      Differ("UncoveredAround all", map_.UncoveredAround(page, space_),
             model_.UncoveredAround(page, space_)),
      Differ("ForEachIn", RunsIn(map_, pages, states),
             model_.RunsIn(pages, states)),
      Differ("ForEachTarget", Targets(map_, image, states),
             model_.Targets(image, states)),
  });
}

}  // namespace pagelift
