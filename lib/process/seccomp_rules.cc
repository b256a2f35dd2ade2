#include "lib/process/seccomp_rules.h"

#include <sys/prctl.h>

#include <cerrno>

#include "lib/base/sys_error.h"

namespace pagelift {
namespace {

// An option of prctl(2) that does not exist. A filter of ours answers kInForce
// if it is asked for itself by its digest, and lets the kernel say no if it is
// asked for another one.
constexpr int kAskWhich = 0x504c5346;
constexpr int kInForce = EALREADY;

}  // namespace

scmp_arg_cmp ArgumentIs(unsigned number, uint64_t value) {
  return {number, SCMP_CMP_EQ, value, 0};
}

scmp_arg_cmp ArgumentIsNot(unsigned number, uint64_t value) {
  return {number, SCMP_CMP_NE, value, 0};
}

scmp_arg_cmp ArgumentHas(unsigned number, uint64_t mask, uint64_t bits) {
  return {number, SCMP_CMP_MASKED_EQ, mask, bits};
}

SeccompRules::SeccompRules(uint32_t unlisted)
    : unlisted_(unlisted),
      context_(seccomp_init(unlisted)),
      digest_(0xcbf29ce484222325) {
  if (context_ == nullptr) {
    Note(-ENOMEM);
    return;
  }
  Set(SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  Set(SCMP_FLTATR_CTL_TSYNC, 1);
  // A search, and not a walk, down to the call's number.
  Set(SCMP_FLTATR_CTL_OPTIMIZE, 2);
  Set(SCMP_FLTATR_API_SYSRAWRC, 1);
  // The kernel's log has it even if the process cannot tell.
  if (unlisted == SCMP_ACT_TRAP) Set(SCMP_FLTATR_CTL_LOG, 1);
  Mix(unlisted);
}

SeccompRules::~SeccompRules() {
  if (context_ != nullptr) seccomp_release(context_);
}

void SeccompRules::Allow(int call,
                         std::initializer_list<scmp_arg_cmp> conditions) {
  Add(SCMP_ACT_ALLOW, call, conditions);
}

void SeccompRules::Add(uint32_t action, int call,
                       std::initializer_list<scmp_arg_cmp> conditions) {
  Mix(action);
  Mix(static_cast<uint64_t>(call));
  for (const scmp_arg_cmp& condition : conditions) {
    Mix(condition.arg);
    Mix(static_cast<uint64_t>(condition.op));
    Mix(condition.datum_a);
    Mix(condition.datum_b);
  }
  AddUnmixed(action, call, conditions);
}

bool SeccompRules::InForce() const {
  return prctl(kAskWhich, digest_, 0, 0, 0) != 0 && errno == kInForce;
}

absl::Status SeccompRules::Load() {
  AddUnmixed(SCMP_ACT_ERRNO(kInForce), SCMP_SYS(prctl),
             {ArgumentIs(0, kAskWhich), ArgumentIs(1, digest_)});
  AddUnmixed(SCMP_ACT_ALLOW, SCMP_SYS(prctl),
             {ArgumentIs(0, kAskWhich), ArgumentIsNot(1, digest_)});
  if (error_ == 0) Note(seccomp_load(context_));
  return error_ == 0 ? absl::OkStatus()
                     : SysErrorOf(error_, "load a filter of system calls");
}

void SeccompRules::Set(scmp_filter_attr attribute, uint32_t value) {
  Note(seccomp_attr_set(context_, attribute, value));
}

void SeccompRules::AddUnmixed(uint32_t action, int call,
                              std::initializer_list<scmp_arg_cmp> conditions) {
  // libseccomp takes no rule that changes nothing.
  if (action == unlisted_ || error_ != 0) return;
  Note(seccomp_rule_add_array(context_, action, call,
                              static_cast<unsigned>(conditions.size()),
                              conditions.begin()));
}

void SeccompRules::Note(int result) {
  if (result < 0 && error_ == 0) error_ = -result;
}

// FNV-1a.
void SeccompRules::Mix(uint64_t value) {
  for (int i = 0; i < 8; ++i) {
    digest_ = (digest_ ^ ((value >> (8 * i)) & 0xff)) * 0x100000001b3;
  }
}

}  // namespace pagelift
