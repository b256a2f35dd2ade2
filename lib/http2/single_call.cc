#include "lib/http2/single_call.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "lib/base/log.h"
#include "lib/http2/first_bytes.h"
#include "lib/http2/grpc_message.h"

namespace pagelift {
namespace {

// The client bounds what is under way by what it asks for: flow control would
// only add messages. A server needs room for requests.
constexpr int32_t kClientWindow = std::numeric_limits<int32_t>::max();
constexpr int32_t kServerWindow = 1 << 20;
// Pages in one piece; 2 MiB are the most a batch has.
constexpr uint32_t kMostFrameBytes = (2 << 20) + 4096;
constexpr size_t kMostHeaders = 64;

nghttp2_nv Field(absl::string_view name, absl::string_view value) {
  auto bytes = [](absl::string_view text) {
    return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NONE};
}

// The status codes of gRPC are those of Abseil.
absl::Status StatusOf(absl::string_view code, absl::string_view message) {
  int number;
  if (!absl::SimpleAtoi(code, &number) || number < 0 || number > 16) {
    return absl::UnknownError(
        absl::StrCat("the server ended the call with status \"", code, "\""));
  }
  return absl::Status(static_cast<absl::StatusCode>(number),
                      DecodeGrpcMessage(message));
}

absl::Status StatusOfReset(uint32_t error) {
  const std::string what = absl::StrCat("the far end broke the call off (",
                                        nghttp2_http2_strerror(error), ")");
  switch (error) {
    case NGHTTP2_CANCEL:
      return absl::CancelledError(what);
    case NGHTTP2_REFUSED_STREAM:
    case NGHTTP2_NO_ERROR:
      return absl::UnavailableError(what);
    default:
      return absl::InternalError(what);
  }
}

}  // namespace

struct SingleCall::Callbacks {
  static SingleCall& Self(void* user) {
    return *static_cast<SingleCall*>(user);
  }

  static int BeginHeaders(nghttp2_session*, const nghttp2_frame* frame,
                          void* user) {
    SingleCall& self = Self(user);
    if (!self.is_server_) return 0;
    if (self.stream_ == -1) self.stream_ = frame->hd.stream_id;
    // A second call is refused, and the first goes on.
    return frame->hd.stream_id == self.stream_
               ? 0
               : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }

  static int OnHeader(nghttp2_session*, const nghttp2_frame* frame,
                      const uint8_t* name, size_t name_size,
                      const uint8_t* value, size_t value_size, uint8_t,
                      void* user) {
    SingleCall& self = Self(user);
    if (frame->hd.stream_id != self.stream_) return 0;
    if (++self.header_count_ > kMostHeaders) {
      self.broken_ = absl::ResourceExhaustedError("too many headers");
      return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    Headers& headers = self.has_headers_ ? self.trailers_ : self.headers_;
    headers.emplace_back(
        std::string(reinterpret_cast<const char*>(name), name_size),
        std::string(reinterpret_cast<const char*>(value), value_size));
    return 0;
  }

  static int OnData(nghttp2_session*, uint8_t, int32_t stream,
                    const uint8_t* data, size_t size, void* user) {
    SingleCall& self = Self(user);
    if (stream != self.stream_) return 0;
    absl::Status status = self.messages_.Add(
        ByteSpan(reinterpret_cast<const std::byte*>(data), size));
    if (status.ok()) return 0;
    self.broken_ = std::move(status);
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }

  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    SingleCall& self = Self(user);
    if (frame->hd.stream_id != self.stream_ || self.stream_ == -1) return 0;
    const bool last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (frame->hd.type == NGHTTP2_HEADERS && !self.has_headers_) {
      if (last && !self.is_server_) {
        // A refusal: its only headers are the trailers.
        self.trailers_ = std::move(self.headers_);
        self.headers_.clear();
      } else {
        self.has_headers_ = true;
      }
    }
    if (last && !self.ended_.has_value()) self.ended_ = self.FinalStatus();
    return 0;
  }

  static int OnClose(nghttp2_session*, int32_t stream, uint32_t error,
                     void* user) {
    SingleCall& self = Self(user);
    if (stream != self.stream_) return 0;
    self.unsent_.clear();
    if (!self.ended_.has_value()) self.ended_ = StatusOfReset(error);
    return 0;
  }

  static ssize_t ReadLength(nghttp2_session*, uint8_t, int32_t,
                            int32_t connection_window, int32_t stream_window,
                            uint32_t most_frame_bytes, void*) {
    return std::min<ssize_t>(std::min(connection_window, stream_window),
                             std::min(most_frame_bytes, kMostFrameBytes));
  }

  static ssize_t Read(nghttp2_session* session, int32_t stream, uint8_t*,
                      size_t most, uint32_t* flags, nghttp2_data_source*,
                      void* user) {
    SingleCall& self = Self(user);
    size_t size = 0;
    for (const Unsent& message : self.unsent_) {
      size += message.head.size() + message.tail.size();
    }
    const bool all = size <= most && self.finishing_;
    if (size == 0 && !self.finishing_) return NGHTTP2_ERR_DEFERRED;
    if (size > 0) *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (all) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (self.is_server_) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        const std::string code =
            absl::StrCat(static_cast<int>(self.finish_.code()));
        const std::string message = EncodeGrpcMessage(self.finish_.message());
        const nghttp2_nv trailers[] = {Field("grpc-status", code),
                                       Field("grpc-message", message)};
        nghttp2_submit_trailer(session, stream, trailers,
                               self.finish_.ok() ? 1 : 2);
      }
    }
    return static_cast<ssize_t>(std::min(size, most));
  }

  static int SendData(nghttp2_session*, nghttp2_frame*,
                      const uint8_t* frame_header, size_t size,
                      nghttp2_data_source*, void* user) {
    SingleCall& self = Self(user);
    constexpr size_t kFrameHeader = 9;
    self.output_->AppendCopy(ByteSpan(
        reinterpret_cast<const std::byte*>(frame_header), kFrameHeader));
    while (size > 0) {
      Unsent& message = self.unsent_.front();
      const size_t head = std::min(size, message.head.size());
      self.output_->AppendCopy(BytesOf(message.head).first(head));
      message.head.erase(0, head);
      size -= head;
      const size_t tail = std::min(size, message.tail.size());
      self.output_->AppendBorrowed(message.tail.first(tail));
      message.tail.remove_prefix(tail);
      size -= tail;
      if (message.head.empty() && message.tail.empty()) {
        self.unsent_.pop_front();
      }
    }
    return 0;
  }

  // The same at both ends, made once.
  static const nghttp2_session_callbacks* All() {
    static const nghttp2_session_callbacks* const all = Make();
    return all;
  }

  static nghttp2_session_callbacks* Make() {
    nghttp2_session_callbacks* all;
    CHECK(nghttp2_session_callbacks_new(&all) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(all, BeginHeaders);
    nghttp2_session_callbacks_set_on_header_callback(all, OnHeader);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(all, OnData);
    nghttp2_session_callbacks_set_on_frame_recv_callback(all, OnFrame);
    nghttp2_session_callbacks_set_on_stream_close_callback(all, OnClose);
    nghttp2_session_callbacks_set_data_source_read_length_callback(all,
                                                                   ReadLength);
    nghttp2_session_callbacks_set_send_data_callback(all, SendData);
    return all;
  }

  static nghttp2_data_provider Provider() {
    nghttp2_data_provider provider = {};
    provider.read_callback = Read;
    return provider;
  }
};

SingleCall::SingleCall() : messages_(kMostMessageBytes) {}

SingleCall::~SingleCall() { nghttp2_session_del(session_); }

std::unique_ptr<SingleCall> SingleCall::Client(const std::string& authority,
                                               const std::string& path) {
  std::unique_ptr<SingleCall> call(new SingleCall());
  CHECK(nghttp2_session_client_new(&call->session_, Callbacks::All(),
                                   call.get()) == 0);
  const nghttp2_settings_entry settings[] = {
      {kSingleCallSetting, 1},
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kClientWindow},
      {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, kMostFrameBytes}};
  CHECK(nghttp2_submit_settings(call->session_, NGHTTP2_FLAG_NONE, settings,
                                std::size(settings)) == 0);
  CHECK(nghttp2_session_set_local_window_size(call->session_, NGHTTP2_FLAG_NONE,
                                              0, kClientWindow) == 0);
  const nghttp2_nv headers[] = {
      Field(":method", "POST"),
      Field(":scheme", "http"),
      Field(":path", path),
      Field(":authority", authority),
      Field("te", "trailers"),
      Field("content-type", "application/grpc"),
      Field("user-agent", "pagelift"),
  };
  const nghttp2_data_provider provider = Callbacks::Provider();
  call->stream_ = nghttp2_submit_request(
      call->session_, nullptr, headers, std::size(headers), &provider, nullptr);
  CHECK(call->stream_ > 0);
  return call;
}

std::unique_ptr<SingleCall> SingleCall::Server() {
  std::unique_ptr<SingleCall> call(new SingleCall());
  call->is_server_ = true;
  CHECK(nghttp2_session_server_new(&call->session_, Callbacks::All(),
                                   call.get()) == 0);
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kServerWindow}};
  CHECK(nghttp2_submit_settings(call->session_, NGHTTP2_FLAG_NONE, settings,
                                std::size(settings)) == 0);
  CHECK(nghttp2_session_set_local_window_size(call->session_, NGHTTP2_FLAG_NONE,
                                              0, kServerWindow) == 0);
  return call;
}

absl::Status SingleCall::Receive(ByteSpan bytes) {
  const ssize_t taken = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (!broken_.ok()) return broken_;
  if (taken < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("the far end breaks the rules of HTTP/2: ",
                     nghttp2_strerror(static_cast<int>(taken))));
  }
  return absl::OkStatus();
}

void SingleCall::Accept(const Headers& metadata) {
  accepted_ = true;
  std::vector<nghttp2_nv> fields = {Field(":status", "200"),
                                    Field("content-type", "application/grpc")};
  for (const auto& [name, value] : metadata) {
    fields.push_back(Field(name, value));
  }
  const nghttp2_data_provider provider = Callbacks::Provider();
  // Fails if the call is closed already; then there is nobody to answer.
  nghttp2_submit_response(session_, stream_, fields.data(), fields.size(),
                          &provider);
}

void SingleCall::Resume() {
  // Fails if it is not waiting for data, which is as well.
  nghttp2_session_resume_data(session_, stream_);
}

void SingleCall::Send(absl::string_view head, ByteSpan tail) {
  const size_t size = head.size() + tail.size();
  Unsent message;
  message.head.reserve(head.size() + 5);
  message.head.push_back(0);  // Not compressed.
  for (int shift = 24; shift >= 0; shift -= 8) {
    message.head.push_back(static_cast<char>(size >> shift));
  }
  message.head.append(head.data(), head.size());
  message.tail = tail;
  unsent_.push_back(std::move(message));
  Resume();
}

void SingleCall::Finish(const absl::Status& status) {
  finishing_ = true;
  finish_ = status;
  if (!is_server_ || accepted_) {
    Resume();
    return;
  }
  const std::string code = absl::StrCat(static_cast<int>(status.code()));
  const std::string message = EncodeGrpcMessage(status.message());
  const nghttp2_nv fields[] = {
      Field(":status", "200"), Field("content-type", "application/grpc"),
      Field("grpc-status", code), Field("grpc-message", message)};
  nghttp2_submit_response(session_, stream_, fields, std::size(fields),
                          nullptr);
}

void SingleCall::Produce(OutputQueue& output) {
  output_ = &output;
  while (true) {
    const uint8_t* bytes;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    // Errors here are of memory; a fatal one ends the session, see is_over().
    if (size <= 0) break;
    output.AppendCopy(ByteSpan(reinterpret_cast<const std::byte*>(bytes),
                               static_cast<size_t>(size)));
  }
  output_ = nullptr;
}

bool SingleCall::is_over() const {
  return nghttp2_session_want_read(session_) == 0 &&
         nghttp2_session_want_write(session_) == 0;
}

absl::Status SingleCall::FinalStatus() const {
  if (is_server_) return absl::OkStatus();
  auto find = [this](absl::string_view name) -> const std::string* {
    for (const auto& [key, value] : trailers_) {
      if (key == name) return &value;
    }
    return nullptr;
  };
  const std::string* code = find("grpc-status");
  if (code != nullptr) {
    const std::string* message = find("grpc-message");
    return StatusOf(*code, message == nullptr ? "" : *message);
  }
  const std::string* http = find(":status");
  return absl::UnavailableError(absl::StrCat("this is no gRPC server",
                                             http == nullptr ? "" : ": HTTP ",
                                             http == nullptr ? "" : *http));
}

}  // namespace pagelift
