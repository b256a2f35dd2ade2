#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "lib/base/byte_span.h"
#include "lib/base/testing/status_matchers.h"
#include "lib/base/testing/temp_dir.h"
#include "lib/base/unique_fd.h"
#include "lib/source/testing/fake_page_store.h"
#include "lib/transport/description_proto.h"
#include "lib/transport/page_batch_codec.h"
#include "lib/transport/page_compression.h"
#include "lib/transport/remote_source.h"
#include "lib/transport/socket_address.h"
#include "lib/transport/testing/scripted_page_server.h"
#include "lib/transport/testing/test_page_server.h"
#include "lib/transport/testing/waiting_sink.h"

// RemoteSource against servers that break the rules of the protocol.

namespace pagelift {
namespace {

constexpr uint64_t kPages = 2048;
constexpr char kName[] = "redis";
constexpr absl::Duration kLong = absl::Seconds(60);

ImageDescription Image() {
  return OneTaskImage(1, {PageId(0), PageCount(kPages)});
}

ImageRange Pages(uint64_t first, uint64_t count) {
  return {ImagePage(first), PageCount(count)};
}

class HostileServerTest : public ::testing::Test {
 protected:
  ~HostileServerTest() override {
    if (source_ != nullptr) source_->Stop();
  }

  void Serve(ScriptedService::Script script) {
    service_ = std::make_unique<ScriptedService>(Image(), std::move(script));
    server_ = std::make_unique<TestServer>(socket_, *service_);
    ASSERT_OK_AND_ASSIGN(
        source_,
        RemoteSource::Open(TestServer::AddressOf(socket_), kName, kLong));
    source_->Start(&sink_);
  }

  // A server that answers the first request with `bad`, and then as it should,
  // is found out, left, and asked again; nothing of `bad` is delivered.
  void ExpectRefused(const std::function<void(v1::PageBatch&)>& spoil) {
    Serve([spoil](int before, const v1::PageRequest& request,
                  ScriptedService::Stream& stream) {
      v1::PageBatch batch = GoodAnswer(request);
      if (before == 0) spoil(batch);
      stream.Write(batch);
    });
    source_->Fetch(Pages(8, 4), Urgency::kDemand);
    ASSERT_TRUE(sink_.WaitForPages(4));
    EXPECT_EQ(service_->requests(), 2);
    ExpectPattern(sink_, Pages(8, 4));
  }

  TempDir dir_;
  const std::string socket_ = dir_.Join("s");
  WaitingSink sink_;
  std::unique_ptr<ScriptedService> service_;
  std::unique_ptr<TestServer> server_;
  std::unique_ptr<RemoteSource> source_;
};

TEST_F(HostileServerTest, DamagedPagesAreRefusedCountedAndAskedAgain) {
  ExpectRefused(
      [](v1::PageBatch& batch) { (*batch.mutable_pages())[77] ^= 4; });
  EXPECT_EQ(source_->checksum_failures(), 1u);
}

// Breaks off once, and sends a damaged description once.
class ReluctantService : public ScriptedService {
 public:
  using ScriptedService::ScriptedService;
  grpc::Status OpenImage(
      grpc::ServerContext* context, const v1::OpenImageRequest* request,
      grpc::ServerWriter<v1::OpenImageResponse>* writer) override {
    if (++opens == 1) return {grpc::StatusCode::UNAVAILABLE, "not now"};
    if (opens > 2) return ScriptedService::OpenImage(context, request, writer);
    DescribeInParts(Image(), [writer](v1::OpenImageResponse part) {
      if (part.has_header()) part.mutable_header()->set_page_count(1 << 20);
      return writer->Write(part);
    });
    return grpc::Status::OK;
  }

  std::atomic<int> opens{0};
};

TEST_F(HostileServerTest, AnOpeningThatBreaksOffIsTriedAgain) {
  service_ = std::make_unique<ReluctantService>(Image(), nullptr);
  auto& reluctant = static_cast<ReluctantService&>(*service_);
  server_ = std::make_unique<TestServer>(socket_, *service_);
  ASSERT_OK_AND_ASSIGN(
      std::unique_ptr<RemoteSource> source,
      RemoteSource::Open(TestServer::AddressOf(socket_), kName, kLong));
  EXPECT_EQ(source->description().page_count, Image().page_count);
  EXPECT_EQ(reluctant.opens, 3);
}

// What was answered, and what the answer says, are both outstanding.
TEST_F(HostileServerTest, AnAnswerWithAnotherPagesNumberIsRefused) {
  Serve([](int request_number, const v1::PageRequest& request,
           ScriptedService::Stream& stream) {
    if (request_number > 0) {
      stream.Write(GoodAnswer(request));
      return;
    }
    v1::PageRequest half = request;
    half.set_page_count(2);
    v1::PageBatch batch = GoodAnswer(half);
    batch.set_first_page(request.first_page() + 2);
    stream.Write(batch);
  });
  source_->Fetch(Pages(8, 4), Urgency::kDemand);
  ASSERT_TRUE(sink_.WaitForPages(4));
  ExpectPattern(sink_, Pages(8, 4));
  EXPECT_EQ(source_->checksum_failures(), 1u);
}

TEST_F(HostileServerTest, ZeroPagesThatWereNotSentAreRefused) {
  ExpectRefused([](v1::PageBatch& batch) {
    batch.clear_pages();
    batch.set_encoding(v1::ENCODING_ZERO);
  });
  EXPECT_EQ(source_->checksum_failures(), 1u);
}

TEST_F(HostileServerTest, ALossThatWasNotSentIsRefused) {
  ExpectRefused([](v1::PageBatch& batch) {
    batch.clear_pages();
    batch.set_error_code(grpc::StatusCode::DATA_LOSS);
  });
  EXPECT_EQ(source_->checksum_failures(), 1u);
}

TEST_F(HostileServerTest, PagesThatStayDamagedAreReportedForAnotherTry) {
  Serve(
      [](int, const v1::PageRequest& request, ScriptedService::Stream& stream) {
        v1::PageBatch batch = GoodAnswer(request);
        batch.set_checksum(batch.checksum() + 1);
        stream.Write(batch);
      });
  source_->Fetch(Pages(3, 2), Urgency::kPrefetch);
  ASSERT_TRUE(sink_.WaitForPages(2));
  EXPECT_EQ(sink_.answers()[3].status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(source_->checksum_failures(), 4u);
}

TEST_F(HostileServerTest, FramesThatHoldSomethingElseAreRefusedAndAskedAgain) {
  PageCompressor compressor(1 << 20);
  const std::string other(PageCount(4).bytes(), 'x');
  const ByteSpan frame = compressor.Compress(BytesOf(other));
  ExpectRefused([frame](v1::PageBatch& batch) {
    batch.set_encoding(v1::ENCODING_ZSTD);
    batch.set_pages(frame.data(), frame.size());
  });
  EXPECT_EQ(source_->checksum_failures(), 1u);
}

TEST_F(HostileServerTest, FramesThatAreNoneAreRefusedAndAskedAgain) {
  ExpectRefused([](v1::PageBatch& batch) {
    batch.set_encoding(v1::ENCODING_ZSTD);
    batch.mutable_pages()->resize(1000);
  });
  EXPECT_EQ(source_->checksum_failures(), 1u);
}

TEST_F(HostileServerTest, FramesAsLongAsTheirPagesAreRefused) {
  ExpectRefused(
      [](v1::PageBatch& batch) { batch.set_encoding(v1::ENCODING_ZSTD); });
}

TEST_F(HostileServerTest, PagesThatWereNotAskedForAreRefused) {
  ExpectRefused([](v1::PageBatch& batch) { batch.set_first_page(9); });
}

TEST_F(HostileServerTest, AnAnswerToAnotherRequestIsRefused) {
  ExpectRefused([](v1::PageBatch& batch) { batch.set_id(batch.id() + 1); });
}

TEST_F(HostileServerTest, TooFewBytesAreRefused) {
  ExpectRefused(
      [](v1::PageBatch& batch) { batch.mutable_pages()->pop_back(); });
}

TEST_F(HostileServerTest, MorePagesThanAskedForAreRefused) {
  ExpectRefused([](v1::PageBatch& batch) {
    batch.set_page_count(batch.page_count() + 1);
    batch.mutable_pages()->append(kPageSize, 'x');
  });
}

TEST_F(HostileServerTest, ZeroPagesBeyondTheRequestAreRefused) {
  ExpectRefused([](v1::PageBatch& batch) {
    batch.set_encoding(v1::ENCODING_ZERO);
    batch.clear_pages();
    batch.set_page_count(~uint64_t{0} - 100);
  });
}

TEST_F(HostileServerTest, AnUnknownEncodingIsRefused) {
  ExpectRefused(
      [](v1::PageBatch& batch) { batch.set_encoding(v1::Encoding(9)); });
}

TEST_F(HostileServerTest, PagesThatComeTwiceAreDeliveredOnce) {
  Serve(
      [](int, const v1::PageRequest& request, ScriptedService::Stream& stream) {
        stream.Write(GoodAnswer(request));
        stream.Write(GoodAnswer(request));
      });
  source_->Fetch(Pages(0, 4), Urgency::kDemand);
  ASSERT_TRUE(sink_.WaitForPages(4));
  source_->Fetch(Pages(4, 4), Urgency::kDemand);
  ASSERT_TRUE(sink_.WaitForPages(8));
  ExpectPattern(sink_, Pages(0, 8));
}

TEST_F(HostileServerTest, FetchDoesNotHangOnAServerThatReadsNoMore) {
  absl::Notification leave;
  Serve([&leave](int, const v1::PageRequest& request,
                 ScriptedService::Stream& stream) {
    v1::PageBatch batch = GoodAnswer(request);
    batch.set_id(0);  // Breaks the rules, and reads no more.
    stream.Write(batch);
    leave.WaitForNotification();
  });
  std::thread fetcher([this] {
    for (uint64_t i = 0; i < 100000; ++i) {
      source_->Fetch(Pages(i % kPages, 1), Urgency::kDemand);
    }
  });
  // None of the writes waits for ever.
  fetcher.join();
  source_->Stop();
  leave.Notify();
  server_.reset();  // Its threads use `leave`.
}

TEST_F(HostileServerTest, ARequestLargerThanTheProtocolAllowsIsSplit) {
  std::atomic<uint64_t> largest{0};
  absl::Notification second;
  Serve([&](int before, const v1::PageRequest& request,
            ScriptedService::Stream&) {
    largest = std::max(largest.load(), request.page_count());
    if (before == 1) second.Notify();
  });
  source_->Fetch(Pages(0, 300000), Urgency::kPrefetch);
  ASSERT_TRUE(second.WaitForNotificationWithTimeout(kLong));
  EXPECT_EQ(largest, 262144u);
  source_->Stop();
  server_.reset();  // Its threads use `second`.
}

// --- Calls that gRPC's library makes -----------------------------------------

std::string Frame(char type, char flags, char stream, absl::string_view rest) {
  const char size = static_cast<char>(rest.size());
  return std::string({0, 0, size, type, flags, 0, 0, 0, stream}) +
         std::string(rest);
}

// As HPACK writes a field that it has never seen and will not remember.
std::string Field(absl::string_view name, absl::string_view value) {
  return absl::StrCat(absl::string_view("\0", 1),
                      std::string(1, static_cast<char>(name.size())), name,
                      std::string(1, static_cast<char>(value.size())), value);
}

// Answers one call on one connection with frames, whatever was asked.
void AnswerOneCall(const Listener& listener, const std::string& frames) {
  pollfd came = {listener.sockets()[0].get(), POLLIN, 0};
  ASSERT_EQ(poll(&came, 1, 60'000), 1);
  const UniqueFd socket(accept(came.fd, nullptr, nullptr));
  std::string asked;
  char bytes[4096];
  // The path of a call is in its first frame.
  while (asked.find("OpenImage") == std::string::npos) {
    const ssize_t n = recv(socket.get(), bytes, sizeof(bytes), 0);
    if (n <= 0) return;
    asked.append(bytes, static_cast<size_t>(n));
    if (asked.size() == static_cast<size_t>(n)) {
      const std::string settings = Frame(4, 0, 0, "");
      send(socket.get(), settings.data(), settings.size(), MSG_NOSIGNAL);
    }
  }
  send(socket.get(), frames.data(), frames.size(), MSG_NOSIGNAL);
  while (recv(socket.get(), bytes, sizeof(bytes), 0) > 0) {
  }
}

// gRPC 1.51 takes a status for given, at one place.
TEST(HostileCallTest, AnAnswerWithoutAStatusIsAnErrorAndNotTheEndOfUs) {
  const std::string ok = "\x88" + Field("content-type", "application/grpc");
  const std::string headers = Frame(1, 4, 1, ok);
  for (const std::string& frames :
       {headers + Frame(1, 5, 1, Field("grpc-statur", "0")),
        headers + Frame(1, 5, 1, Field("grpc-status", "?")),
        headers + Frame(1, 5, 1, Field("grpc-status", "777")),
        headers + Frame(1, 5, 1, ""), headers + Frame(0, 1, 1, ""),
        Frame(1, 5, 1, ok), Frame(1, 5, 1, "\x88")}) {
    const TempDir dir;
    const std::string address = TestServer::AddressOf(dir.Join("s"));
    ASSERT_OK_AND_ASSIGN(const Listener listener, Listener::ListenOn(address));
    std::thread server([&] { AnswerOneCall(listener, frames); });
    EXPECT_FALSE(RemoteSource::Open(address, kName, absl::Seconds(1)).ok());
    server.join();
  }
}

}  // namespace
}  // namespace pagelift
