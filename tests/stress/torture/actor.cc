#include "tests/stress/torture/actor.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iterator>

#include "tests/stress/torture/touch.h"

namespace pagelift::stress {
namespace {

constexpr int kDeepest = 4;

// How often each operation is drawn, out of the sum of all.
struct Weight {
  Op op;
  size_t weight;
};
constexpr Weight kWeights[] = {
    {Op::kRead, 30},         {Op::kWrite, 12},        {Op::kPatch, 8},
    {Op::kMap, 6},           {Op::kMapOver, 4},       {Op::kUnmap, 5},
    {Op::kShrink, 2},        {Op::kGrowInPlace, 3},   {Op::kMove, 6},
    {Op::kMoveAndGrow, 4},   {Op::kMoveAndShrink, 3}, {Op::kMoveOver, 5},
    {Op::kMoveDontUnmap, 3}, {Op::kDontNeed, 8},      {Op::kFree, 4},
    {Op::kAdvise, 8},        {Op::kProtect, 4},       {Op::kLock, 2},
    {Op::kPipe, 4},          {Op::kDirectIo, 1},      {Op::kVectorIo, 2},
    {Op::kFutex, 2},         {Op::kSignal, 1},        {Op::kThread, 1},
};
// Processes cost a thousand times as much as a discard: drawn apart.
constexpr size_t kOperationsForAProcess = 150;

constexpr size_t SumOfWeights() {
  size_t sum = 0;
  for (const Weight& weight : kWeights) sum += weight.weight;
  return sum;
}

}  // namespace

Actor::Actor(World& world, Field& field)
    : world_(world), field_(field), log_(field.log()) {}

bool Actor::Work(uint64_t seed, size_t operations, bool is_main) {
  random_ = Random(seed);
  is_main_ = is_main;
  for (size_t i = 0; i < operations && !world_.tally().AnythingWrong(); ++i) {
    DoOne();
  }
  return !world_.tally().AnythingWrong();
}

void Actor::DoOne() {
  // What has to be alone, or waits for others, takes the lock itself.
  if (random_.OneIn(kOperationsForAProcess) && world_.depth() < kDeepest) {
    constexpr Op kProcesses[] = {Op::kFork,         Op::kFork,  Op::kForkKilled,
                                 Op::kForkQuiesced, Op::kSpawn, Op::kSpawn,
                                 Op::kBreak,        Op::kStack};
    const Op op = kProcesses[random_.Below(std::size(kProcesses))];
    if (op == Op::kSpawn) return Spawn();
    if (op == Op::kBreak) return GrowBreak();
    if (op == Op::kStack) return GrowStack();
    return Fork(op);
  }
  size_t drawn = random_.Below(SumOfWeights());
  const Weight* weight = kWeights;
  for (; drawn >= weight->weight; ++weight) drawn -= weight->weight;
  world_.BeginOperation();
  switch (weight->op) {
    case Op::kRead:
      Read();
      break;
    case Op::kWrite:
      Write();
      break;
    case Op::kPatch:
      Patch();
      break;
    case Op::kMap:
      Map();
      break;
    case Op::kMapOver:
      MapOver();
      break;
    case Op::kUnmap:
      Unmap();
      break;
    case Op::kShrink:
      Shrink();
      break;
    case Op::kGrowInPlace:
      GrowInPlace();
      break;
    case Op::kMove:
    case Op::kMoveAndGrow:
    case Op::kMoveAndShrink:
    case Op::kMoveOver:
      Move(weight->op);
      break;
    case Op::kMoveDontUnmap:
      MoveDontUnmap();
      break;
    case Op::kDontNeed:
      DontNeed();
      break;
    case Op::kFree:
      Free();
      break;
    case Op::kAdvise:
      Advise();
      break;
    case Op::kProtect:
      Protect();
      break;
    case Op::kLock:
      Lock();
      break;
    case Op::kPipe:
      Pipe();
      break;
    case Op::kDirectIo:
      DirectIo();
      break;
    case Op::kVectorIo:
      VectorIo();
      break;
    case Op::kFutex:
      Futex();
      break;
    case Op::kSignal:
      Signal();
      break;
    case Op::kThread:
      Thread();
      break;
    default:
      break;
  }
  world_.End();
}

// --- Reading and writing -----------------------------------------------------

void Actor::Read() {
  const std::optional<Run> run =
      field_.Pick(random_, random_.UpTo(8), IsMapped);
  if (!run.has_value()) return;
  OperationRecord& record = log_.Begin(Op::kRead, run->first, run->count);
  for (size_t page = run->first; page < run->limit(); ++page) {
    if (!CheckPage(page)) return;
  }
  Finish(record, true);
}

void Actor::Write() {
  const std::optional<Run> run =
      field_.Pick(random_, random_.UpTo(4), IsWritable);
  if (!run.has_value()) return;
  OperationRecord& record = log_.Begin(Op::kWrite, run->first, run->count);
  Change change(field_, record, *run);
  for (size_t page = run->first; page < run->limit(); ++page) {
    field_.Rewrite(page);
  }
  Finish(record, true);
}

void Actor::Patch() {
  const std::optional<Run> run =
      field_.Pick(random_, 1, [](const ShadowPage& s) {
        return s.writable() && s.contents == ShadowPage::Contents::kPattern &&
               s.patched_word == ShadowPage::kNoPatch;
      });
  if (!run.has_value()) return;
  OperationRecord& record = log_.Begin(Op::kPatch, run->first, 1);
  Change change(field_, record, *run);
  field_.Patch(run->first, random_.Below(kPageBytes / sizeof(uint64_t)),
               random_.Next());
  Finish(record, true);
}

// --- Checking ----------------------------------------------------------------

bool Actor::CheckAll() {
  OperationRecord& record = log_.Begin(Op::kRead, 0, field_.pages());
  for (size_t page = 0; page < field_.pages(); ++page) {
    if (!CheckPage(page)) return false;
    if (world_.tally().AnythingWrong()) return false;
  }
  Finish(record, true);
  return true;
}

bool Actor::CheckPage(size_t page) {
  const ShadowPage& shadow = field_.shadow(page);
  std::array<std::byte, kPageBytes> bytes;
  const int signal = TouchRead(field_.At(page), bytes.data());
  world_.tally().pages_checked.fetch_add(1, std::memory_order_relaxed);
  if (!shadow.readable()) {
    if (signal == SIGSEGV) return true;
    TellWrong(page, signal == 0 ? "could be read" : "raised another signal");
    return false;
  }
  if (signal != 0) {
    TellWrong(page, signal == SIGBUS ? "raised SIGBUS" : "raised SIGSEGV");
    return false;
  }
  return Compare(page, bytes.data());
}

bool Actor::Glance(size_t page) {
  const uint32_t before = field_.Steps(page);
  // Whatever becomes of it, the page is touched: a fault at any moment of what
  // the owner does is what we are here for.
  const ShadowPage shadow = field_.shadow(page);
  std::array<std::byte, kPageBytes> bytes;
  const int signal = TouchRead(field_.At(page), bytes.data());
  std::atomic_thread_fence(std::memory_order_acquire);
  if (before % 2 != 0 || field_.Steps(page) != before) return true;
  world_.tally().pages_checked.fetch_add(1, std::memory_order_relaxed);
  if (signal != 0) {
    if (signal == SIGSEGV && !shadow.readable()) return true;
    TellWrong(page, "raised a signal under another thread");
    return false;
  }
  if (!shadow.readable()) {
    TellWrong(page, "could be read by another thread");
    return false;
  }
  const std::optional<WrongWord> word =
      shadow.Check(field_.seed(), bytes.data());
  if (!word.has_value()) return true;
  TellWrong(page, *word, bytes.data());
  return false;
}

bool Actor::Compare(size_t page, const std::byte* bytes) {
  const std::optional<WrongWord> word =
      field_.shadow(page).Check(field_.seed(), bytes);
  if (!word.has_value()) return true;
  TellWrong(page, *word, bytes);
  return false;
}

void Actor::Finish(OperationRecord& record, bool done) {
  Tally& tally = world_.tally();
  const size_t op = static_cast<size_t>(record.op);
  if (done) {
    tally.done[op].fetch_add(1, std::memory_order_relaxed);
  } else {
    record.error = errno;
    tally.refused[op].fetch_add(1, std::memory_order_relaxed);
  }
}

// --- Telling -----------------------------------------------------------------

void Actor::TellWrong(size_t page, const WrongWord& word,
                      const std::byte* bytes) {
  std::array<char, 200> what;
  std::snprintf(what.data(), what.size(),
                "holds %016" PRIx64 " at offset %zu instead of %016" PRIx64
                ": %s",
                word.got, word.offset, word.expected,
                Resemblance(field_.shadow(page), bytes));
  TellWrong(page, what.data());
}

void Actor::TellWrong(size_t page, const char* what) {
  std::array<char, 400> line;
  std::snprintf(line.data(), line.size(),
                "page %zu of field %u (%p, pid %d, %d forks deep) %s", page,
                field_.id(), static_cast<void*>(field_.At(page)), getpid(),
                world_.depth(), what);
  if (!world_.tally().AnythingWrong()) {
    std::fprintf(stderr, "WRONG %s\n", line.data());
    PrintHistory(page);
  }
  world_.tally().TellWrong(line.data());
}

const char* Actor::Resemblance(const ShadowPage& shadow,
                               const std::byte* bytes) const {
  if (!e2e::FindNonZeroWord(bytes).has_value()) return "it is all zeros";
  uint64_t first;
  std::memcpy(&first, bytes, sizeof(first));
  static std::array<char, 100> said;
  for (uint32_t g = 1; g <= shadow.generation; ++g) {
    if (e2e::PatternStart({field_.seed(), shadow.number, g}) != first) continue;
    std::snprintf(said.data(), said.size(),
                  "it begins like its own generation %u, now is %u", g,
                  shadow.generation);
    return said.data();
  }
  for (size_t page = 0; page < field_.pages(); ++page) {
    const ShadowPage& other = field_.shadow(page);
    for (uint32_t g = 1; g <= other.generation; ++g) {
      if (e2e::PatternStart({field_.seed(), other.number, g}) != first) {
        continue;
      }
      std::snprintf(said.data(), said.size(),
                    "it begins like generation %u of %u of page %zu", g,
                    other.generation, page);
      return said.data();
    }
  }
  return "it is like no page that is";
}

void Actor::PrintHistory(size_t page) const {
  const ShadowPage& shadow = field_.shadow(page);
  std::fprintf(stderr,
               "  must be: contents %d access %d locked %d wiped %d number "
               "%" PRIx64 " generation %u\n",
               static_cast<int>(shadow.contents),
               static_cast<int>(shadow.access), shadow.locked,
               shadow.wipe_on_fork, shadow.number, shadow.generation);
  const auto print = [this](uint32_t number) {
    const OperationRecord* r = log_.Find(number);
    if (r == nullptr) return;
    std::fprintf(stderr,
                 "  %10" PRIu64
                 " us  op %u %s [%u..%u) to [%u..%u) detail %d "
                 "errno %d\n",
                 r->time_us, r->number, ToString(r->op), r->first,
                 r->first + r->count, r->to, r->to + r->to_count, r->detail,
                 r->error);
  };
  for (uint32_t number : shadow.history) print(number);
  std::fprintf(stderr, "  and last of all:\n");
  constexpr uint32_t kLatest = 12;
  const uint32_t last = log_.last();
  for (uint32_t i = last < kLatest ? 1 : last - kLatest + 1; i <= last; ++i) {
    print(i);
  }
}

}  // namespace pagelift::stress
