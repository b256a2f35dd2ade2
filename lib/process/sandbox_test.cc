#include "lib/process/sandbox.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <netdb.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <future>
#include <iterator>
#include <string>
#include <thread>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/log.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/base/unique_fd.h"
#include "lib/process/testing/forked_check.h"

namespace pagelift {
namespace {

using ::testing::HasSubstr;

// No program makes it, and it does no harm.
constexpr int kUnlisted = SYS_getitimer;

SandboxNeeds Processes() {
  SandboxNeeds needs;
  needs.calls.processes = true;
  return needs;
}

std::string Contents(const std::string& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// The call's errno, or 0.
template <typename... Arguments>
int ErrorOf(long call, Arguments... arguments) {
  return syscall(call, arguments...) < 0 ? errno : 0;
}

int ErrorOfClone(unsigned long flags) {
  const long pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
  if (pid == 0) _exit(0);
  if (pid < 0) return errno;
  waitpid(static_cast<pid_t>(pid), nullptr, 0);
  return 0;
}

class SandboxTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!SandboxIsBuilt()) GTEST_SKIP() << "a sanitizer needs more";
  }

  // What a child sees that has entered the sandbox.
  static int Confined(SandboxMode mode, const SandboxNeeds& needs,
                      absl::FunctionRef<void()> check) {
    return ForkedCheck([&] {
      ASSERT_OK(EnterSandbox(mode, needs));
      check();
    });
  }
};

TEST_F(SandboxTest, LetsAProgramServe) {
  EXPECT_EQ(
      Confined(SandboxMode::kStrict, {},
               [] {
                 EXPECT_THAT(Contents("/proc/self/status"),
                             HasSubstr("Seccomp:\t2\n"));
                 std::thread([] {}).join();
                 UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
                 EXPECT_TRUE(epoll.valid());
                 addrinfo* found = nullptr;
                 EXPECT_EQ(getaddrinfo("localhost", "1", nullptr, &found), 0);
                 freeaddrinfo(found);
                 EXPECT_EQ(getaddrinfo("fe80::1%lo", "1", nullptr, &found), 0);
                 freeaddrinfo(found);
                 UniqueFd sock(socket(AF_INET6, SOCK_STREAM, 0));
                 int on = 1;
                 EXPECT_EQ(ioctl(sock.get(), FIONBIO, &on), 0);
               }),
      0);
}

TEST_F(SandboxTest, AnUnlistedCallFails) {
  EXPECT_EQ(
      Confined(
          SandboxMode::kOn, Processes(),
          [] {
            EXPECT_EQ(ErrorOf(kUnlisted, 0, 0), EPERM);
            EXPECT_EQ(ErrorOf(SYS_socket, AF_PACKET, SOCK_RAW, 0), EPERM);
            EXPECT_EQ(ErrorOf(SYS_ioctl, 0, TIOCSTI, "x"), EPERM);
            // The kernel sees 32 bits of it.
            EXPECT_EQ(ErrorOf(SYS_ioctl, 0, TIOCSTI | 1ul << 32, "x"), EPERM);
            EXPECT_EQ(ErrorOf(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0), EPERM);
            EXPECT_EQ(ErrorOf(SYS_fcntl, 0, F_SETOWN, getppid()), EPERM);
            EXPECT_EQ(ErrorOf(SYS_prlimit64, getppid(), RLIMIT_CORE, 0, 0),
                      EPERM);
            EXPECT_EQ(ErrorOfClone(CLONE_NEWUSER), EPERM);
            EXPECT_EQ(ErrorOfClone(CLONE_NEWNET | CLONE_FILES), EPERM);
          }),
      0);
}

TEST_F(SandboxTest, NothingIsWrittenAndThenExecuted) {
  EXPECT_EQ(
      Confined(SandboxMode::kOn, {},
               [] {
                 auto map = [](int protection) {
                   return mmap(nullptr, 4096, protection,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                 };
                 EXPECT_EQ(map(PROT_READ | PROT_WRITE | PROT_EXEC), MAP_FAILED);
                 EXPECT_NE(map(PROT_READ | PROT_EXEC), MAP_FAILED);
                 void* const written = map(PROT_READ | PROT_WRITE);
                 ASSERT_NE(written, MAP_FAILED);
                 EXPECT_NE(mprotect(written, 4096, PROT_READ | PROT_EXEC), 0);
                 EXPECT_EQ(mprotect(written, 4096, PROT_READ), 0);
               }),
      0);
}

TEST_F(SandboxTest, ADangerousCallEndsTheProcess) {
  for (long call : {SYS_ptrace,
                    SYS_process_vm_readv,
                    SYS_process_vm_writev,
                    SYS_pidfd_getfd,
                    SYS_bpf,
                    SYS_perf_event_open,
                    SYS_mount,
                    SYS_fsopen,
                    SYS_pivot_root,
                    SYS_chroot,
                    SYS_finit_module,
                    SYS_kexec_load,
                    SYS_keyctl,
                    SYS_setns,
                    SYS_unshare,
                    SYS_userfaultfd,
                    SYS_io_uring_setup,
                    SYS_open_by_handle_at,
                    SYS_reboot,
                    SYS_personality,
                    SYS_setuid,
                    SYS_setresgid,
                    SYS_setgroups}) {
    // Arguments that would do nothing.
    EXPECT_TRUE(WasEndedBy(
        SIGSYS, Confined(SandboxMode::kOn, Processes(),
                         [call] { syscall(call, -1, -1, -1, -1, -1); })))
        << "system call " << call;
  }
}

TEST_F(SandboxTest, ThreadsThatRanBeforeAreConfinedToo) {
  EXPECT_EQ(ForkedCheck([] {
              EXPECT_OK(KeepCapabilities({}));
              std::promise<void> entered;
              int error = 0;
              std::thread waiting([&] {
                entered.get_future().wait();
                error = ErrorOf(kUnlisted, 0, 0);
              });
              EXPECT_OK(EnterSandbox(SandboxMode::kOn, {}));
              entered.set_value();
              waiting.join();
              EXPECT_EQ(error, EPERM);
            }),
            0);
}

TEST_F(SandboxTest, OnlyWhoNeedsProcessesStartsThem) {
  EXPECT_EQ(
      Confined(SandboxMode::kOn, {},
               [] {
                 EXPECT_EQ(ErrorOfClone(0), EPERM);
                 EXPECT_EQ(ErrorOf(SYS_tgkill, getppid(), getppid(), 0), EPERM);
                 EXPECT_EQ(ErrorOf(SYS_tgkill, getpid(), getpid(), 0), 0);
                 char* const none[] = {nullptr};
                 EXPECT_EQ(ErrorOf(SYS_execve, "/bin/true", none, none), EPERM);
               }),
      0);
  EXPECT_EQ(Confined(SandboxMode::kStrict, Processes(),
                     [] {
                       EXPECT_EQ(ErrorOfClone(CLONE_FILES), 0);
                       const char* const argv[] = {"true", nullptr};
                       execv("/bin/true", const_cast<char* const*>(argv));
                       ADD_FAILURE() << "execv: " << errno;
                     }),
            0);
}

TEST_F(SandboxTest, OnlyWhatIsNeededIsAskedOfDevices) {
  SandboxNeeds needs;
  needs.calls.ioctls = {TIOCGWINSZ};
  EXPECT_EQ(Confined(SandboxMode::kOn, needs,
                     [] {
                       const UniqueFd null(open("/dev/null", O_RDONLY));
                       EXPECT_EQ(ErrorOf(SYS_ioctl, null.get(), TIOCGWINSZ, 0),
                                 ENOTTY);
                       EXPECT_EQ(ErrorOf(SYS_ioctl, null.get(), TIOCSWINSZ, 0),
                                 EPERM);
                     }),
            0);
}

TEST_F(SandboxTest, StrictSaysWhichCallItWas) {
  const TempDir folder;
  const std::string log = folder.Join("log");
  const int status = ForkedCheck([&] {
    const UniqueFd file(open(log.c_str(), O_WRONLY | O_CREAT, 0600));
    SetLogSink(file.get(), LogLevel::kInfo);
    ASSERT_OK(EnterSandbox(SandboxMode::kStrict, {}));
    syscall(kUnlisted, 17, 4711);
  });
  EXPECT_TRUE(WasEndedBy(SIGSYS, status));
  EXPECT_THAT(Contents(log),
              HasSubstr(absl::StrCat("system call ", kUnlisted, " ")));
  EXPECT_THAT(Contents(log), HasSubstr(": 17 4711 "));
}

TEST_F(SandboxTest, IsEnteredAgainWithoutEnd) {
  // Holders that die beget workers that enter it. The kernel takes some
  // hundred filters, and refuses the next.
  EXPECT_EQ(
      Confined(SandboxMode::kStrict, Processes(),
               [] {
                 for (int i = 0; i < 1000; ++i) {
                   ASSERT_OK(EnterSandbox(SandboxMode::kStrict, Processes()));
                 }
                 EXPECT_THAT(Contents("/proc/self/status"),
                             HasSubstr("Seccomp_filters:\t1\n"));
               }),
      0);
}

TEST_F(SandboxTest, AnotherOneIsEnteredWithinIt) {
  EXPECT_EQ(Confined(SandboxMode::kStrict, Processes(),
                     [] {
                       ASSERT_OK(EnterSandbox(SandboxMode::kStrict, {}));
                       ASSERT_OK(EnterSandbox(SandboxMode::kStrict, {}));
                       EXPECT_THAT(Contents("/proc/self/status"),
                                   HasSubstr("Seccomp_filters:\t2\n"));
                       std::thread([] {}).join();
                     }),
            0);
}

TEST_F(SandboxTest, AKernelWithoutFiltersIsToldWithWhatToDo) {
  EXPECT_EQ(ForkedCheck([] {
              const scmp_filter_ctx none = seccomp_init(SCMP_ACT_ALLOW);
              ASSERT_EQ(seccomp_rule_add(none, SCMP_ACT_ERRNO(ENOSYS),
                                         SCMP_SYS(seccomp), 0),
                        0);
              ASSERT_EQ(seccomp_load(none), 0);
              EXPECT_THAT(EnterSandbox(SandboxMode::kOn, {}).message(),
                          AllOf(HasSubstr("cannot be confined"),
                                HasSubstr("--sandbox=off")));
            }),
            0);
}

TEST_F(SandboxTest, WhoWantsNoneHasNone) {
  EXPECT_EQ(ForkedCheck([] {
              const uint64_t before = CapabilitySet::Effective().bits();
              EXPECT_OK(EnterSandbox(SandboxMode::kOff, {}));
              EXPECT_EQ(ErrorOf(kUnlisted, 0, 0), EFAULT);
              EXPECT_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
              EXPECT_EQ(CapabilitySet::Effective().bits(), before);
            }),
            0);
}

TEST_F(SandboxTest, NothingIsGainedByExecuting) {
  EXPECT_EQ(ForkedCheck([] {
              EXPECT_OK(EnterSandbox(SandboxMode::kOn, {}));
              EXPECT_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
              EXPECT_EQ(CapabilitySet::Effective().bits(), 0u);
            }),
            0);
}

}  // namespace
}  // namespace pagelift
