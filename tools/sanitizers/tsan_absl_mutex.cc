// Tells ThreadSanitizer what absl::Mutex does. The distribution's Abseil is not
// instrumented, so that all that a mutex protects looks like a race to the
// sanitizer. To be preloaded: README.md says how.
//
// Each function stands for the library's function of that (mangled) name, calls
// it, and says who happens before whom. Readers leave their time at another
// address than writers: one reader does not happen before the next, so what
// they write without synchronisation is still found.

#include <dlfcn.h>

#include <type_traits>

#include "absl/time/time.h"

extern "C" {

__attribute__((weak)) void __tsan_acquire(void* address);
__attribute__((weak)) void __tsan_release(void* address);

}  // extern "C"

namespace {

void* Readers(void* mutex) { return static_cast<char*>(mutex) + 1; }

void Acquire(void* address) {
  if (__tsan_acquire != nullptr) __tsan_acquire(address);
}
void Release(void* address) {
  if (__tsan_release != nullptr) __tsan_release(address);
}

void LockedByWriter(void* mutex) {
  Acquire(mutex);
  Acquire(Readers(mutex));
}

// The mutex inside whose Unlock() or Await() this thread is. They look at
// conditions, their own and others', with the mutex held.
thread_local void* t_inside = nullptr;

// While it waits others hold the mutex. It may be held by a reader, for whom
// what follows is more than he may claim: nobody here waits as a reader.
template <typename Result, typename... Arguments>
Result Waiting(Result (*real)(void*, Arguments...), void* mutex,
               Arguments... arguments) {
  Release(mutex);
  t_inside = mutex;
  if constexpr (std::is_void_v<Result>) {
    real(mutex, arguments...);
    t_inside = nullptr;
    LockedByWriter(mutex);
  } else {
    Result result = real(mutex, arguments...);
    t_inside = nullptr;
    LockedByWriter(mutex);
    return result;
  }
}

template <typename Function>
Function Next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

// Defines `real`, the library's function of this name and of type __VA_ARGS__.
#define REAL(...)               \
  using Function = __VA_ARGS__; \
  static Function* const real = Next<Function*>(__func__)

extern "C" {

void _ZN4absl7debian35Mutex4LockEv(void* mutex) {
  REAL(void(void*));
  real(mutex);
  LockedByWriter(mutex);
}

bool _ZN4absl7debian35Mutex7TryLockEv(void* mutex) {
  REAL(bool(void*));
  const bool locked = real(mutex);
  if (locked) LockedByWriter(mutex);
  return locked;
}

void _ZN4absl7debian35Mutex6UnlockEv(void* mutex) {
  REAL(void(void*));
  Release(mutex);
  t_inside = mutex;
  real(mutex);
  t_inside = nullptr;
}

bool _ZNK4absl7debian39Condition4EvalEv(void* condition) {
  REAL(bool(void*));
  void* const mutex = t_inside;
  if (mutex != nullptr) LockedByWriter(mutex);
  const bool holds = real(condition);
  if (mutex != nullptr) Release(mutex);
  return holds;
}

void _ZN4absl7debian35Mutex10ReaderLockEv(void* mutex) {
  REAL(void(void*));
  real(mutex);
  Acquire(mutex);
}

void _ZN4absl7debian35Mutex12ReaderUnlockEv(void* mutex) {
  REAL(void(void*));
  Release(Readers(mutex));
  real(mutex);
}

void _ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE(void* mutex,
                                                    const void* condition) {
  REAL(void(void*, const void*));
  Waiting(real, mutex, condition);
}

bool _ZN4absl7debian35Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE(
    void* mutex, const void* condition, absl::Duration timeout) {
  REAL(bool(void*, const void*, absl::Duration));
  return Waiting(real, mutex, condition, timeout);
}

bool _ZN4absl7debian35Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE(
    void* mutex, const void* condition, absl::Time deadline) {
  REAL(bool(void*, const void*, absl::Time));
  return Waiting(real, mutex, condition, deadline);
}

void _ZN4absl7debian35Mutex8LockWhenERKNS0_9ConditionE(void* mutex,
                                                       const void* condition) {
  REAL(void(void*, const void*));
  Waiting(real, mutex, condition);
}

// A notification's flag is read in the header, and so seen; it is set in the
// library, behind the mutex.
void _ZN4absl7debian312Notification6NotifyEv(void* notification) {
  REAL(void(void*));
  Release(static_cast<char*>(notification) + sizeof(void*));
  real(notification);
}

void _ZNK4absl7debian312Notification19WaitForNotificationEv(
    void* notification) {
  REAL(void(void*));
  real(notification);
  Acquire(static_cast<char*>(notification) + sizeof(void*));
}

bool _ZNK4absl7debian312Notification30WaitForNotificationWithTimeoutENS0_8DurationE(
    void* notification, absl::Duration timeout) {
  REAL(bool(void*, absl::Duration));
  const bool notified = real(notification, timeout);
  Acquire(static_cast<char*>(notification) + sizeof(void*));
  return notified;
}

}  // extern "C"
