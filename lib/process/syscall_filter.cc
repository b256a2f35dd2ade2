#include "lib/process/syscall_filter.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "lib/process/seccomp_rules.h"

namespace pagelift {
namespace {

// Whatever their arguments. A call that libc makes in the place of another one
// is listed with it.
constexpr int kListed[] = {
    // Memory.
    SCMP_SYS(brk),
    SCMP_SYS(madvise),
    SCMP_SYS(membarrier),
    SCMP_SYS(memfd_create),
    SCMP_SYS(mincore),
    SCMP_SYS(mlock),
    SCMP_SYS(mlock2),
    SCMP_SYS(mremap),
    SCMP_SYS(msync),
    SCMP_SYS(munlock),
    SCMP_SYS(munmap),
    // Descriptors.
    SCMP_SYS(close),
    SCMP_SYS(close_range),
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    SCMP_SYS(epoll_create),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(eventfd),
    SCMP_SYS(eventfd2),
    SCMP_SYS(lseek),
    SCMP_SYS(pipe),
    SCMP_SYS(pipe2),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(pread64),
    SCMP_SYS(preadv),
    SCMP_SYS(preadv2),
    SCMP_SYS(pselect6),
    SCMP_SYS(pwrite64),
    SCMP_SYS(pwritev),
    SCMP_SYS(pwritev2),
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(select),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_gettime),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    // Files.
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(fadvise64),
    SCMP_SYS(fallocate),
    SCMP_SYS(fchmod),
    SCMP_SYS(fdatasync),
    SCMP_SYS(flock),
    SCMP_SYS(fstat),
    SCMP_SYS(fstatfs),
    SCMP_SYS(fsync),
    SCMP_SYS(ftruncate),
    SCMP_SYS(getcwd),
    SCMP_SYS(getdents64),
    SCMP_SYS(lstat),
    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(openat2),
    SCMP_SYS(readahead),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(rename),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(stat),
    SCMP_SYS(statfs),
    SCMP_SYS(statx),
    SCMP_SYS(umask),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    // Sockets.
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(bind),
    SCMP_SYS(connect),
    SCMP_SYS(getpeername),
    SCMP_SYS(getsockname),
    SCMP_SYS(getsockopt),
    SCMP_SYS(listen),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(setsockopt),
    SCMP_SYS(shutdown),
    // Threads, signals, time.
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(futex),
    SCMP_SYS(futex_waitv),
    SCMP_SYS(getcpu),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(get_robust_list),
    SCMP_SYS(nanosleep),
    SCMP_SYS(pause),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(rseq),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigpending),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigsuspend),
    SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_getparam),
    SCMP_SYS(sched_getscheduler),
    SCMP_SYS(sched_yield),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(set_tid_address),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(time),
    // What this process is, and may.
    SCMP_SYS(capget),
    SCMP_SYS(capset),
    SCMP_SYS(getegid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getgroups),
    SCMP_SYS(getpgrp),
    SCMP_SYS(getpid),
    SCMP_SYS(getppid),
    SCMP_SYS(getpriority),
    SCMP_SYS(getrandom),
    SCMP_SYS(getresgid),
    SCMP_SYS(getresuid),
    SCMP_SYS(getrlimit),
    SCMP_SYS(getrusage),
    SCMP_SYS(getsid),
    SCMP_SYS(gettid),
    SCMP_SYS(getuid),
    SCMP_SYS(seccomp),
    SCMP_SYS(setrlimit),
    SCMP_SYS(sysinfo),
    SCMP_SYS(times),
    SCMP_SYS(uname),
};

// For SyscallNeeds::processes.
constexpr int kOfProcesses[] = {
    SCMP_SYS(arch_prctl),  // The start of every program.
    SCMP_SYS(execve),     SCMP_SYS(fork),       SCMP_SYS(kcmp),
    SCMP_SYS(kill),       SCMP_SYS(pidfd_open), SCMP_SYS(pidfd_send_signal),
    SCMP_SYS(vfork),      SCMP_SYS(wait4),      SCMP_SYS(waitid),
};

// What no part of ours, and no library, calls: who does has taken us over.
constexpr int kDeadly[] = {
    // Other processes' memory, descriptors and threads.
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(kexec_load),
    SCMP_SYS(migrate_pages),
    SCMP_SYS(move_pages),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(process_madvise),
    SCMP_SYS(process_mrelease),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(ptrace),
    SCMP_SYS(userfaultfd),
    // The kernel.
    SCMP_SYS(acct),
    SCMP_SYS(bpf),
    SCMP_SYS(delete_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(init_module),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(ioperm),
    SCMP_SYS(iopl),
    SCMP_SYS(modify_ldt),
    SCMP_SYS(personality),
    SCMP_SYS(quotactl),
    SCMP_SYS(reboot),
    SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(swapoff),
    SCMP_SYS(swapon),
    SCMP_SYS(syslog),
    // Namespaces and mounts.
    SCMP_SYS(chroot),
    SCMP_SYS(fsconfig),
    SCMP_SYS(fsmount),
    SCMP_SYS(fsopen),
    SCMP_SYS(fspick),
    SCMP_SYS(mount),
    SCMP_SYS(mount_setattr),
    SCMP_SYS(move_mount),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(open_tree),
    SCMP_SYS(pivot_root),
    SCMP_SYS(setns),
    SCMP_SYS(umount2),
    SCMP_SYS(unshare),
    // Keys, and other users.
    SCMP_SYS(add_key),
    SCMP_SYS(keyctl),
    SCMP_SYS(request_key),
    SCMP_SYS(setfsgid),
    SCMP_SYS(setfsuid),
    SCMP_SYS(setgid),
    SCMP_SYS(setgroups),
    SCMP_SYS(setregid),
    SCMP_SYS(setresgid),
    SCMP_SYS(setresuid),
    SCMP_SYS(setreuid),
    SCMP_SYS(setuid),
};

constexpr int kPrctlOptions[] = {
    PR_CAPBSET_DROP,     PR_CAPBSET_READ, PR_CAP_AMBIENT,      PR_GET_DUMPABLE,
    PR_GET_NAME,         PR_GET_SECCOMP,  PR_GET_NO_NEW_PRIVS, PR_SET_NAME,
    PR_SET_VMA,  // What libc calls its memory.
    PR_SET_NO_NEW_PRIVS,
};

// F_SETOWN and F_SETSIG would send signals to anybody.
constexpr int kFcntlCommands[] = {
    F_ADD_SEALS, F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL,  F_GETLK,
    F_GET_SEALS, F_SETFD, F_SETFL,         F_SETLK, F_SETLKW,
};

constexpr uint32_t kIoctls[] = {
    FIOCLEX,      FIONBIO, FIONREAD,
    SIOCGIFINDEX,  // The addresses of a link: getaddrinfo(3) of fe80::1%eth0.
    SIOCGIFNAME,
    TCGETS,  // isatty(3).
};

constexpr int kFamilies[] = {AF_UNIX, AF_INET, AF_INET6};

// CLONE_NEWTIME is one of the bits of a signal here: clone(2) does not know it.
constexpr uint64_t kNewNamespaces = CLONE_NEWCGROUP | CLONE_NEWIPC |
                                    CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID |
                                    CLONE_NEWUSER | CLONE_NEWUTS;

// Never to be written and to be executed at once; what has been written is not
// to be executed later. Only a mapping can be made executable, as dlopen(3)
// does it.
void AddMappings(SeccompRules& rules) {
  for (uint64_t either : {PROT_NONE, PROT_WRITE, PROT_EXEC}) {
    rules.Allow(SCMP_SYS(mmap),
                {ArgumentHas(2, PROT_WRITE | PROT_EXEC, either)});
  }
  rules.Allow(SCMP_SYS(mprotect), {ArgumentHas(2, PROT_EXEC, 0)});
}

void AddSockets(SeccompRules& rules) {
  for (int family : kFamilies) {
    rules.Allow(SCMP_SYS(socket),
                {ArgumentIs(0, static_cast<uint64_t>(family))});
  }
  // By which getaddrinfo(3) asks which addresses there are.
  rules.Allow(SCMP_SYS(socket),
              {ArgumentIs(0, AF_NETLINK), ArgumentIs(2, NETLINK_ROUTE)});
  rules.Allow(SCMP_SYS(socketpair), {ArgumentIs(0, AF_UNIX)});
}

void AddSignals(SeccompRules& rules, bool processes) {
  if (processes) {
    rules.Allow(SCMP_SYS(tgkill));
  } else {  // As abort(3) does.
    rules.Allow(SCMP_SYS(tgkill),
                {ArgumentIs(0, static_cast<uint64_t>(getpid()))});
  }
}

void AddClones(SeccompRules& rules, bool processes) {
  // Its flags are in memory, which a filter cannot read. libc then takes the
  // older one.
  rules.Add(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3));
  const uint64_t must = processes ? 0 : CLONE_THREAD;
  rules.Allow(SCMP_SYS(clone), {ArgumentHas(0, kNewNamespaces | must, must)});
}

void AddAll(const SyscallNeeds& needs, SeccompRules& rules) {
  for (int call : kListed) rules.Allow(call);
  for (int call : kDeadly) rules.Add(SCMP_ACT_KILL_PROCESS, call);
  if (needs.processes) {
    for (int call : kOfProcesses) rules.Allow(call);
  }
  for (int option : kPrctlOptions) {
    rules.Allow(SCMP_SYS(prctl),
                {ArgumentIs(0, static_cast<uint64_t>(option))});
  }
  for (int command : kFcntlCommands) {
    rules.Allow(SCMP_SYS(fcntl),
                {ArgumentIs(1, static_cast<uint64_t>(command))});
  }
  // Of this process.
  rules.Allow(SCMP_SYS(prlimit64), {ArgumentIs(0, 0)});
  // The kernel takes 32 bits of a request, whatever the rest is.
  auto allow_ioctl = [&rules](uint32_t request) {
    rules.Allow(SCMP_SYS(ioctl), {ArgumentHas(1, 0xffffffff, request)});
  };
  for (uint32_t request : kIoctls) allow_ioctl(request);
  for (uint32_t request : needs.ioctls) allow_ioctl(request);
  AddMappings(rules);
  AddSockets(rules);
  AddSignals(rules, needs.processes);
  AddClones(rules, needs.processes);
}

}  // namespace

absl::Status LoadSyscallFilter(const SyscallNeeds& needs,
                               UnlistedCalls unlisted) {
  SeccompRules rules(unlisted == UnlistedCalls::kTrap ? SCMP_ACT_TRAP
                                                      : SCMP_ACT_ERRNO(EPERM));
  AddAll(needs, rules);
  return rules.InForce() ? absl::OkStatus() : rules.Load();
}

}  // namespace pagelift
