#ifndef TESTS_STRESS_TORTURE_TOUCH_H_
#define TESTS_STRESS_TORTURE_TOUCH_H_

#include <cstddef>

namespace pagelift::stress {

// Once, before any Touch.
void CatchMemorySignals();

// Copies the page at `from` to `to`, byte by byte as far as the compiler is
// concerned. Returns the signal that the access raised; 0 if none. Thread-safe,
// also in a signal handler.
int TouchRead(const std::byte* from, std::byte* to);

// Writes one byte as it is: the page becomes the process's own.
int TouchWrite(std::byte* at);

}  // namespace pagelift::stress

#endif  // TESTS_STRESS_TORTURE_TOUCH_H_
