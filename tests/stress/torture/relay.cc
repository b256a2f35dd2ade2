#include "tests/stress/torture/relay.h"

#include <sys/mman.h>

#include <cerrno>

namespace pagelift::stress {
namespace {

constexpr int kProtection = PROT_READ | PROT_WRITE;
constexpr int kClaim = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;

}  // namespace

Relay::Relay(World& world, Field& field)
    : world_(world), field_(field), checker_(world, field) {
  partner_ = std::thread([this] { Live(); });
}

bool Relay::Work(uint64_t seed, size_t rounds) {
  random_ = Random(seed);
  for (size_t i = 0; i < rounds && !world_.tally().AnythingWrong(); ++i) {
    world_.BeginOperation();
    Round();
    world_.End();
  }
  return !world_.tally().AnythingWrong();
}

std::optional<size_t> Relay::PickSlot(bool mapped) {
  for (int attempt = 0; attempt < 64; ++attempt) {
    const size_t slot = random_.Below(field_.slots());
    if (slot != slot_ &&
        field_.shadow(Field::Slot(slot).first).mapped() == mapped) {
      return slot;
    }
  }
  return std::nullopt;
}

void Relay::Round() {
  slot_ = field_.slots();  // None yet.
  const std::optional<size_t> leaving = PickSlot(/*mapped=*/true);
  if (!leaving.has_value()) return;
  slot_ = *leaving;
  const bool unmaps = random_.OneIn(3);
  const std::optional<size_t> to =
      unmaps ? std::nullopt : PickSlot(/*mapped=*/false);
  from_ = random_.OneIn(3) ? std::nullopt : PickSlot(/*mapped=*/true);
  const Run here = Field::Slot(slot_);
  OperationRecord& record =
      field_.log().Begin(Op::kRelay, here.first, here.count);
  record.to = static_cast<uint32_t>(to.value_or(0) * Field::kSlotPages);
  record.detail = from_.has_value() ? static_cast<int32_t>(*from_) : -1;
  const Run all{0, field_.pages()};
  field_.BeginChange(all);
  left_ = false;
  {
    std::unique_lock<std::mutex> lock(mu_);
    asked_ = true;
    answered_ = false;
    changed_.notify_all();
  }
  const bool left =
      to.has_value() ? mremap(field_.At(here.first), here.bytes(), here.bytes(),
                              MREMAP_MAYMOVE | MREMAP_FIXED,
                              field_.At(Field::Slot(*to).first)) != MAP_FAILED
                     : munmap(field_.At(here.first), here.bytes()) == 0;
  left_ = true;
  {
    std::unique_lock<std::mutex> lock(mu_);
    changed_.wait(lock, [this] { return answered_; });
  }
  if (!left || !taken_over_) {
    field_.EndChange(all);
    record.error = errno;
    return checker_.TellWrong(here.first, "could not be handed over");
  }
  world_.tally().done[static_cast<size_t>(Op::kRelay)].fetch_add(1);
  if (to.has_value()) field_.Move(here, Field::Slot(*to).first);
  for (size_t page = here.first; page < here.limit(); ++page) {
    field_.shadow(page).BecomeUnmapped();
  }
  if (from_.has_value()) {
    field_.Move(Field::Slot(*from_), here.first);
  } else {
    field_.MakeFresh(here);
    for (size_t page = here.first; page < here.limit(); page += 3) {
      field_.Rewrite(page);
    }
  }
  for (size_t slot : {slot_, to.value_or(slot_), from_.value_or(slot_)}) {
    const Run run = Field::Slot(slot);
    for (size_t page = run.first; page < run.limit(); ++page) {
      field_.shadow(page).Note(record.number);
    }
  }
  field_.EndChange(all);
  // A few: what is not read stays lazy.
  for (size_t slot : {slot_, to.value_or(slot_)}) {
    const size_t page = Field::Slot(slot).first;
    for (size_t i = 0; i < 3; ++i) {
      if (!checker_.CheckPage(page + random_.Below(Field::kSlotPages))) return;
    }
  }
}

void Relay::TakeOver() {
  const Run here = Field::Slot(slot_);
  taken_over_ = false;
  while (true) {
    // Before the attempt: if it had left by then, there must be room.
    const bool last_attempt = left_;
    if (mmap(field_.At(here.first), here.bytes(), kProtection, kClaim, -1, 0) !=
        MAP_FAILED) {
      break;
    }
    if (last_attempt) return;
  }
  taken_over_ = !from_.has_value() ||
                mremap(field_.At(Field::Slot(*from_).first), here.bytes(),
                       here.bytes(), MREMAP_MAYMOVE | MREMAP_FIXED,
                       field_.At(here.first)) != MAP_FAILED;
}

void Relay::Live() {
  while (true) {
    std::unique_lock<std::mutex> lock(mu_);
    changed_.wait(lock, [this] { return asked_; });
    asked_ = false;
    lock.unlock();
    TakeOver();
    lock.lock();
    answered_ = true;
    changed_.notify_all();
  }
}

}  // namespace pagelift::stress
