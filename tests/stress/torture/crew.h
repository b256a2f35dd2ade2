#ifndef TESTS_STRESS_TORTURE_CREW_H_
#define TESTS_STRESS_TORTURE_CREW_H_

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace pagelift::stress {

// Threads that all do something at the same time, again and again.
//
// Lives on one thread, and as long as the process.
class Crew {
 public:
  explicit Crew(size_t threads);
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  // Every thread does `work` once, with its number. REQUIRES: none is at work.
  void Start(std::function<void(size_t)> work);
  // Until all are through.
  void Wait();

 private:
  [[noreturn]] void Live(size_t number);

  std::mutex mu_;
  std::condition_variable changed_;
  size_t round_ = 0;
  size_t working_ = 0;
  std::function<void(size_t)> work_;
  std::vector<std::thread> threads_;  // Never joined: the process just ends.
};

}  // namespace pagelift::stress

#endif  // TESTS_STRESS_TORTURE_CREW_H_
