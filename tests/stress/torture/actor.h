#ifndef TESTS_STRESS_TORTURE_ACTOR_H_
#define TESTS_STRESS_TORTURE_ACTOR_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>

#include "tests/stress/torture/field.h"
#include "tests/stress/torture/operation_log.h"
#include "tests/stress/torture/random.h"
#include "tests/stress/torture/world.h"

namespace pagelift::stress {

// Does to its field at random all that programs do to their memory, and checks
// every byte that it reads against the shadows. What is wrong is told with the
// history of the page, once; everybody then stops.
//
// Lives on one thread; a forked child goes on with its copy. Allocates nothing.
class Actor {
 public:
  Actor(World& world, Field& field);
  Actor(const Actor&) = delete;
  Actor& operator=(const Actor&) = delete;

  // Does `operations` operations, drawn from `seed`. `is_main`: on the main
  // thread, whose stack grows. False if something is wrong, here or anywhere.
  bool Work(uint64_t seed, size_t operations, bool is_main);
  // Reads every page of the field. False likewise.
  bool CheckAll();
  // Reads one page while its owner may be doing anything to it; what was read
  // counts only if the owner did not. From any thread.
  bool Glance(size_t page);
  bool CheckPage(size_t page);
  void TellWrong(size_t page, const char* what);

 private:
  // An operation under way, and the pages whose shadows it changes.
  class Change;

  void DoOne();

  // actor_mappings.cc
  void Map();
  void MapOver();
  void Unmap();
  void Shrink();
  void GrowInPlace();
  void Move(Op op);
  void MoveDontUnmap();
  void DontNeed();
  void Free();
  void Advise();
  void Protect();
  void Lock();
  // Whether the kernel has a mapping there, whatever the shadow says.
  bool IsMappedNow(size_t page) const;
  // Finds out what the kernel has moved or unmapped before it refused the rest.
  void SettleHalfMove(Run from, Run to, bool leaves_old);
  // The tail of a mapping that grew, of the kind of `like`.
  void MakeTail(Run tail, const ShadowPage& like);

  // actor_kernel.cc: the kernel touches the pages.
  void Pipe();
  void DirectIo();
  void VectorIo();
  void Futex();
  void Signal();
  void GrowBreak();
  void GrowStack();

  // actor_processes.cc
  void Thread();
  void Spawn();
  void Fork(Op op);
  [[noreturn]] void LiveAsChild(Op op, uint64_t seed, bool orphan);
  void CheckOthers();

  void Read();
  void Write();
  void Patch();

  bool Compare(size_t page, const std::byte* bytes);
  // Counts, and remembers the errno if it was refused.
  void Finish(OperationRecord& record, bool done);
  void TellWrong(size_t page, const WrongWord& word, const std::byte* bytes);
  void PrintHistory(size_t page) const;
  const char* Resemblance(const ShadowPage& shadow,
                          const std::byte* bytes) const;

  static bool IsWritable(const ShadowPage& s) { return s.writable(); }
  static bool IsMapped(const ShadowPage& s) { return s.mapped(); }

  World& world_;
  Field& field_;
  OperationLog& log_;
  Random random_{0};
  bool is_main_ = false;
};

// Marks what `operation` changes, until it goes out of scope.
class Actor::Change {
 public:
  Change(Field& field, const OperationRecord& operation, Run run)
      : Change(field, operation, run, Run()) {}
  Change(Field& field, const OperationRecord& operation, Run run, Run other)
      : field_(field), number_(operation.number), runs_{run, other} {
    for (Run r : runs_) field_.BeginChange(r);
  }
  Change(const Change&) = delete;
  Change& operator=(const Change&) = delete;
  ~Change() {
    for (Run r : runs_) {
      for (size_t page = r.first; page < r.limit(); ++page) {
        field_.shadow(page).Note(number_);
      }
      field_.EndChange(r);
    }
  }

 private:
  Field& field_;
  const uint32_t number_;
  const Run runs_[2];
};

}  // namespace pagelift::stress

#endif  // TESTS_STRESS_TORTURE_ACTOR_H_
