#ifndef PAGELIFT_LIB_PROCESS_SECCOMP_RULES_H_
#define PAGELIFT_LIB_PROCESS_SECCOMP_RULES_H_

#include <seccomp.h>

#include <cstdint>
#include <initializer_list>

#include "absl/status/status.h"

namespace pagelift {

// Conditions on a system call's argument, counted from 0.
scmp_arg_cmp ArgumentIs(unsigned number, uint64_t value);
scmp_arg_cmp ArgumentIsNot(unsigned number, uint64_t value);
// That `bits` are those of `mask` which it has.
scmp_arg_cmp ArgumentHas(unsigned number, uint64_t mask, uint64_t bits);

// A filter of system calls that is being made. Adding rules may fail, as for
// want of memory: Load() tells. Calls by another ABI than x86-64's end the
// process. Thread-compatible.
class SeccompRules {
 public:
  // What is done about calls that no rule is about: one of libseccomp's
  // SCMP_ACT_*, as all actions here.
  explicit SeccompRules(uint32_t unlisted);
  ~SeccompRules();
  SeccompRules(const SeccompRules&) = delete;
  SeccompRules& operator=(const SeccompRules&) = delete;

  void Allow(int call, std::initializer_list<scmp_arg_cmp> conditions = {});
  void Add(uint32_t action, int call,
           std::initializer_list<scmp_arg_cmp> conditions = {});

  // Whether this process has loaded, or inherited, these very rules.
  bool InForce() const;

  // For all threads of this process. REQUIRES: PR_SET_NO_NEW_PRIVS is set.
  absl::Status Load();

 private:
  void Set(scmp_filter_attr attribute, uint32_t value);
  void AddUnmixed(uint32_t action, int call,
                  std::initializer_list<scmp_arg_cmp> conditions);
  void Note(int result);
  void Mix(uint64_t value);

  const uint32_t unlisted_;
  const scmp_filter_ctx context_;
  uint64_t digest_;  // Of all rules, the same in every process.
  int error_ = 0;    // The first one.
};

}  // namespace pagelift

#endif  // PAGELIFT_LIB_PROCESS_SECCOMP_RULES_H_
