#ifndef TESTS_STRESS_TORTURE_RELAY_H_
#define TESTS_STRESS_TORTURE_RELAY_H_

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>

#include "tests/stress/torture/actor.h"
#include "tests/stress/torture/field.h"
#include "tests/stress/torture/random.h"
#include "tests/stress/torture/world.h"

namespace pagelift::stress {

// Two threads that take each other's addresses over: as soon as one has moved
// or unmapped a slot, and before its system call returns, the other moves
// another slot there, or maps a new one. So messages about the old and the new
// mapping at one address are under way at the same time.
//
// Lives on one thread, and as long as the process.
class Relay {
 public:
  Relay(World& world, Field& field);
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // False if something is wrong, here or anywhere.
  bool Work(uint64_t seed, size_t rounds);

 private:
  void Round();
  // The partner's part: waits until nothing is at `slot`, then takes it, with
  // what is in slot `from` if there is such a one.
  void TakeOver();
  [[noreturn]] void Live();
  std::optional<size_t> PickSlot(bool mapped);

  World& world_;
  Field& field_;
  Actor checker_;
  Random random_{0};

  // What the partner is to do, and has done.
  size_t slot_ = 0;
  std::optional<size_t> from_;
  bool taken_over_ = false;
  std::atomic<bool> left_{false};  // The system call that leaves has returned.

  std::mutex mu_;
  std::condition_variable changed_;
  bool asked_ = false;
  bool answered_ = false;
  std::thread partner_;  // Never joined: the process just ends.
};

}  // namespace pagelift::stress

#endif  // TESTS_STRESS_TORTURE_RELAY_H_
