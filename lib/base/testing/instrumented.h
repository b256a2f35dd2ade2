#ifndef PAGELIFT_LIB_BASE_TESTING_INSTRUMENTED_H_
#define PAGELIFT_LIB_BASE_TESTING_INSTRUMENTED_H_

namespace pagelift {

// Whether a sanitizer keeps memory of its own beside the test's: some ten times
// as much, of which a test about sizes knows nothing, and mapped where the
// sanitizer likes, as in a hole that a test has made.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kInstrumented = true;
#else
inline constexpr bool kInstrumented = false;
#endif

}  // namespace pagelift

#endif  // PAGELIFT_LIB_BASE_TESTING_INSTRUMENTED_H_
