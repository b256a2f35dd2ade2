// The real daemon, a real page server that keeps its pages to itself for a
// while, and a target that waits for them.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "daemon/pager/session/testing/restored_target.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "lib/base/log.h"
#include "lib/base/testing/eventually.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/base/unique_fd.h"
#include "lib/source/page_store.h"
#include "lib/source/testing/fake_page_store.h"
#include "lib/source/testing/page_pattern.h"
#include "lib/transport/page_service.h"
#include "lib/transport/testing/test_page_server.h"
#include "lib/uffd/testing/faulting_thread.h"
#include "pagelift/v1/control.grpc.pb.h"

namespace pagelift {
namespace {

using Op = TargetCommand::Op;

constexpr PageCount kPages{64};
constexpr char kDaemon[] = "daemon/pager/pageliftd";

// Reads nothing before it may.
class HeldStore : public PageStore {
 public:
  explicit HeldStore(ImageDescription description)
      : pages_(std::move(description)) {}

  void Release() {
    absl::MutexLock lock(&mu_);
    released_ = true;
  }
  const ImageDescription& description() const override {
    return pages_.description();
  }
  absl::StatusOr<PageCount> Read(ImageRange range,
                                 absl::Span<std::byte> buffer) const override {
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(&released_));
    return pages_.Read(range, buffer);
  }
  PagesCheck Check(ImageRange range) const override {
    return pages_.Check(range);
  }

 private:
  const FakePageStore pages_;
  mutable absl::Mutex mu_;
  bool released_ ABSL_GUARDED_BY(mu_) = false;
};

class PageliftdTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(mkfifo(fifo_.c_str(), 0600), 0);
    // Both ways, so that nobody waits for the other to open it.
    reading_ = UniqueFd(open(fifo_.c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_TRUE(reading_.valid());
    StartDaemon();
    catalog_.Put("image", store_);
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    control_ = v1::Control::NewStub(grpc::CreateChannel(
        absl::StrCat("unix:", socket_), grpc::InsecureChannelCredentials()));
    ASSERT_TRUE(Open(dir_.path()).ok());
  }
  void TearDown() override {
    store_->Release();
    target_.Kill();
    if (daemon_ != 0) {
      kill(daemon_, SIGTERM);
      EXPECT_EQ(ExitCodeOfDaemon(), 0);
    }
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
    if (HasFailure()) std::cerr << std::ifstream(dir_.Join("log")).rdbuf();
  }

  // Its stderr is a pipe that the target has, too; its log is not.
  void StartDaemon() {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const UniqueFd ready(ends[0]);
    UniqueFd tell(ends[1]);
    daemon_ = fork();
    if (daemon_ == 0) {
      const int stderr_fd = open(fifo_.c_str(), O_WRONLY);
      dup2(stderr_fd, STDERR_FILENO);
      const std::string ready_fd = std::to_string(tell.get());
      execl(kDaemon, "pageliftd", "--control", socket_.c_str(), "--ready-fd",
            ready_fd.c_str(), "--log-file", dir_.Join("log").c_str(),
            "--log-level", "debug", nullptr);
      _exit(127);
    }
    tell.reset();
    char newline;
    ASSERT_EQ(read(ready.get(), &newline, 1), 1) << "it does not start";
  }
  int ExitCodeOfDaemon() {
    int status = -1;
    waitpid(std::exchange(daemon_, 0), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  // The holder's only child; 0 while there is none.
  pid_t Worker() const {
    pid_t worker = 0;
    std::ifstream(
        absl::StrCat("/proc/", daemon_, "/task/", daemon_, "/children")) >>
        worker;
    return worker;
  }
  // Returns when there is another.
  void CrashWorker() {
    const pid_t worker = Worker();
    ASSERT_GT(worker, 0);
    ASSERT_EQ(kill(worker, SIGKILL), 0);
    EXPECT_TRUE(Eventually([&] {
      const pid_t now = Worker();
      return now > 0 && now != worker;
    }));
  }
  // Empty as long as nobody answers.
  v1::DaemonStatus DaemonStatus() {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kSoon));
    context.set_wait_for_ready(true);
    v1::DaemonStatus status;
    control_->GetDaemon(&context, {}, &status);
    return status;
  }
  grpc::Status Upgrade(const std::string& program) {
    v1::UpgradeRequest request;
    request.set_program(program);
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kSoon));
    v1::UpgradeResponse response;
    return control_->Upgrade(&context, request, &response);
  }
  bool DaemonRuns() const { return waitpid(daemon_, nullptr, WNOHANG) == 0; }

  grpc::Status Open(const std::string& work_dir) {
    v1::OpenSessionRequest request;
    request.set_source(absl::StrCat("grpc://127.0.0.1:", port_, "/image"));
    request.set_work_dir(work_dir);
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kSoon));
    v1::OpenSessionResponse response;
    return control_->OpenSession(&context, request, &response);
  }
  // A thread of it waits for page 5.
  void RestoreAndWait() {
    target_.Restore(dir_.path());
    target_.thread(1).StartRead(target_.page(5));
    ASSERT_TRUE(target_.thread(1).WaitUntilBlocked());
    // A crash in the middle of the hand-off would be restore's end.
    ASSERT_TRUE(Eventually([this] { return StateOfSession() == "draining"; }));
  }
  // Of the only session.
  std::string StateOfSession() {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kSoon));
    v1::ListSessionsResponse response;
    control_->ListSessions(&context, {}, &response);
    return response.sessions_size() == 1 ? response.sessions(0).state() : "";
  }
  // Its place is taken by a process that becomes a child of ours.
  void CrashHolder() {
    ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    const pid_t worker = Worker();
    const pid_t holder = daemon_;
    ASSERT_EQ(kill(holder, SIGKILL), 0);
    EXPECT_EQ(ExitCodeOfDaemon(), -1);
    EXPECT_TRUE(Eventually([&] {
      const pid_t now = DaemonStatus().holder_pid();
      if (now != 0 && now != holder) daemon_ = now;
      return daemon_ != 0;
    }));
    EXPECT_EQ(waitpid(worker, nullptr, 0), worker);
  }
  void ReleaseAndExpectItComes() {
    store_->Release();
    EXPECT_TRUE(
        HoldsPattern(target_.thread(1).Finish().page.data(), ImagePage(5)));
  }
  void ExpectImagePage(uint64_t page, TargetThread& reader) {
    const TargetReply reply = reader.Read(target_.page(page));
    EXPECT_TRUE(HoldsPattern(reply.page.data(), ImagePage(page))) << page;
  }

  RestoredTarget target_{kPages};  // First: forked before there are threads.
  TempDir dir_;
  TempDir another_dir_;
  const std::string socket_ = dir_.Join("s");
  const std::string fifo_ = dir_.Join("stderr");
  UniqueFd reading_;
  pid_t daemon_ = 0;
  std::shared_ptr<HeldStore> store_ = std::make_shared<HeldStore>(
      OneTaskImage(RestoredTarget::kImagePid, target_.region()));
  FakeCatalog catalog_;
  PageService service_{catalog_};
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::Control::Stub> control_;
};

TEST_F(PageliftdTest, ADaemonThatIsToStopFirstBringsWhatIsMissing) {
  ASSERT_NO_FATAL_FAILURE(RestoreAndWait());
  kill(daemon_, SIGTERM);
  // It refuses other sessions, and serves this one: a fork, too.
  EXPECT_TRUE(Eventually([this] { return !Open(another_dir_.path()).ok(); }));
  TargetThread& child = target_.Fork(target_.thread());
  child.StartRead(target_.page(5));
  ASSERT_TRUE(child.WaitUntilBlocked());
  EXPECT_TRUE(target_.thread(1).is_blocked());
  EXPECT_TRUE(DaemonRuns());
  store_->Release();
  for (TargetThread* reader : {&target_.thread(1), &child}) {
    EXPECT_TRUE(HoldsPattern(reader->Finish().page.data(), ImagePage(5)));
  }
  EXPECT_EQ(ExitCodeOfDaemon(), 0);
  for (uint64_t i = 0; i < kPages.raw(); ++i) {
    ExpectImagePage(i, target_.thread());
    ExpectImagePage(i, child);
  }
}

TEST_F(PageliftdTest, BeingToldToStopAgainDoesNotHurryIt) {
  ASSERT_NO_FATAL_FAILURE(RestoreAndWait());
  for (int signal : {SIGTERM, SIGINT, SIGTERM}) kill(daemon_, signal);
  EXPECT_TRUE(Eventually([this] { return !Open(another_dir_.path()).ok(); }));
  EXPECT_TRUE(target_.thread(1).is_blocked());
  EXPECT_TRUE(DaemonRuns());
  store_->Release();
  EXPECT_EQ(ExitCodeOfDaemon(), 0);
  EXPECT_TRUE(
      HoldsPattern(target_.thread(1).Finish().page.data(), ImagePage(5)));
  for (uint64_t i = 0; i < kPages.raw(); ++i) {
    ExpectImagePage(i, target_.thread());
  }
}

TEST_F(PageliftdTest, AfterACrashItGoesOnWithWhatItKnew) {
  ASSERT_NO_FATAL_FAILURE(RestoreAndWait());
  EXPECT_EQ(
      target_.thread().On(Op::kAdvise, target_.pages(10, 2), MADV_DONTNEED), 0);
  EXPECT_EQ(target_.thread().Move(target_.pages(20, 4), target_.spare(),
                                  PageCount(4)),
            0);
  TargetThread& child = target_.Fork(target_.thread());
  child.StartRead(target_.page(6));
  ASSERT_TRUE(child.WaitUntilBlocked());
  CrashWorker();
  EXPECT_TRUE(target_.thread(1).WaitUntilBlocked());
  TargetThread& second = target_.Fork(target_.thread());
  CrashWorker();
  EXPECT_TRUE(child.is_blocked());
  ReleaseAndExpectItComes();
  EXPECT_TRUE(HoldsPattern(child.Finish().page.data(), ImagePage(6)));
  for (TargetThread* reader : {&target_.thread(), &child, &second}) {
    for (uint64_t i : {0, 9, 12, 19, 24, 63}) ExpectImagePage(i, *reader);
    for (uint64_t i : {10, 11}) {
      EXPECT_EQ(reader->Read(target_.page(i)).page, PageBytes()) << i;
    }
    for (uint64_t i = 0; i < 4; ++i) {
      EXPECT_TRUE(HoldsPattern(reader->Read(target_.spare(i)).page.data(),
                               ImagePage(20 + i)));
    }
  }
}

TEST_F(PageliftdTest, ACrashWhileASessionWaitsForItsRestoreIsNotNoticed) {
  CrashWorker();
  target_.Connect(dir_.path());
  CrashWorker();
  target_.HandOver();
  CrashWorker();
  target_.Finish();
  store_->Release();
  for (uint64_t i = 0; i < kPages.raw(); ++i) {
    ExpectImagePage(i, target_.thread());
  }
}

TEST_F(PageliftdTest, AnUpgradeIsNoticedByNobody) {
  ASSERT_NO_FATAL_FAILURE(RestoreAndWait());
  TargetThread& child = target_.Fork(target_.thread());
  const v1::DaemonStatus before = DaemonStatus();
  EXPECT_EQ(before.holder_pid(), daemon_);
  EXPECT_EQ(before.worker_pid(), Worker());
  EXPECT_EQ(Upgrade("/bin/false").error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Upgrade("pageliftd").error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(DaemonStatus().worker_pid(), before.worker_pid());
  ASSERT_TRUE(Upgrade("").ok());
  EXPECT_TRUE(Eventually([&] { return DaemonStatus().upgrades() == 1; }));
  EXPECT_EQ(DaemonStatus().holder_pid(), daemon_);
  EXPECT_NE(DaemonStatus().worker_pid(), before.worker_pid());
  EXPECT_EQ(DaemonStatus().crashes(), 0u);
  EXPECT_TRUE(target_.thread(1).WaitUntilBlocked());
  ReleaseAndExpectItComes();
  for (uint64_t i = 0; i < kPages.raw(); ++i) {
    ExpectImagePage(i, target_.thread());
    ExpectImagePage(i, child);
  }
}

TEST_F(PageliftdTest, WhenTheHolderDiesAnotherTakesItsPlace) {
  ASSERT_NO_FATAL_FAILURE(RestoreAndWait());
  ASSERT_NO_FATAL_FAILURE(CrashHolder());
  ASSERT_NO_FATAL_FAILURE(CrashHolder());
  CrashWorker();
  EXPECT_TRUE(target_.thread(1).WaitUntilBlocked());
  ReleaseAndExpectItComes();
  for (uint64_t i = 0; i < kPages.raw(); ++i) {
    ExpectImagePage(i, target_.thread());
  }
}

TEST_F(PageliftdTest, AHolderThatDiesWhileItsWorkerStartsIsReplacedToo) {
  ASSERT_NO_FATAL_FAILURE(RestoreAndWait());
  CrashWorker();
  // It takes milliseconds to load what it needs.
  ASSERT_NO_FATAL_FAILURE(CrashHolder());
  EXPECT_TRUE(target_.thread(1).WaitUntilBlocked());
  ReleaseAndExpectItComes();
  for (uint64_t i = 0; i < kPages.raw(); ++i) {
    ExpectImagePage(i, target_.thread());
  }
}

TEST_F(PageliftdTest, WorkersThatCannotStartLoseNothing) {
  ASSERT_NO_FATAL_FAILURE(RestoreAndWait());
  // The log cannot be opened.
  ASSERT_EQ(rename(dir_.Join("log").c_str(), dir_.Join("old").c_str()), 0);
  ASSERT_EQ(mkdir(dir_.Join("log").c_str(), 0700), 0);
  std::set<pid_t> workers = {Worker()};
  ASSERT_EQ(kill(Worker(), SIGKILL), 0);
  EXPECT_TRUE(Eventually([&] {
    workers.insert(Worker());
    return workers.size() >= 5;
  }));
  EXPECT_TRUE(target_.thread(1).WaitUntilBlocked());
  ASSERT_EQ(rmdir(dir_.Join("log").c_str()), 0);
  ReleaseAndExpectItComes();
  for (uint64_t i = 0; i < kPages.raw(); ++i) {
    ExpectImagePage(i, target_.thread());
  }
}

TEST_F(PageliftdTest, ADaemonThatIsToStopDoesSoInSpiteOfACrash) {
  ASSERT_NO_FATAL_FAILURE(RestoreAndWait());
  kill(daemon_, SIGTERM);
  CrashWorker();
  EXPECT_TRUE(DaemonRuns());
  store_->Release();
  EXPECT_EQ(ExitCodeOfDaemon(), 0);
  EXPECT_TRUE(
      HoldsPattern(target_.thread(1).Finish().page.data(), ImagePage(5)));
}

TEST_F(PageliftdTest, ItLogsAndServesWhileATargetHoldsTheLockOfItsStderr) {
  target_.Restore(dir_.path());
  // The write waits for its page, and any other write to that pipe for it.
  target_.thread().StartPathOp(Op::kPrint, target_.pages(9, 1), fifo_);
  ASSERT_TRUE(target_.thread().WaitUntilBlocked());
  // The daemon has something to tell.
  EXPECT_TRUE(Open(another_dir_.path()).ok());
  EXPECT_TRUE(target_.thread().is_blocked());
  store_->Release();
  EXPECT_EQ(target_.thread().Finish().result, static_cast<int64_t>(kPageSize));
  PageBytes printed;
  ASSERT_EQ(read(reading_.get(), printed.data(), printed.size()),
            static_cast<ssize_t>(printed.size()));
  EXPECT_TRUE(HoldsPattern(printed.data(), ImagePage(9)));
}

}  // namespace
}  // namespace pagelift
