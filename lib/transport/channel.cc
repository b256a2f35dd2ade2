#include "lib/transport/channel.h"

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/security/tls_certificate_provider.h"
#include "grpcpp/security/tls_credentials_options.h"

namespace pagelift {
namespace {

constexpr int kKeepaliveTimeMs = 10000;
constexpr int kKeepaliveTimeoutMs = 5000;
// Larger frames than HTTP/2's 16 KiB: fewer pages straddle two buffers, and
// half as much again of bulk on one stream.
constexpr int kMaxFrameBytes = 1 << 20;

// How often gRPC looks whether the files have changed.
constexpr unsigned kRefreshSeconds = 1;

// One for each directory: each has a thread.
std::shared_ptr<grpc::experimental::CertificateProviderInterface>
CertificatesOf(const TlsCredentials& tls) {
  using Provider = grpc::experimental::FileWatcherCertificateProvider;
  static absl::Mutex mu(absl::kConstInit);
  static auto& providers =
      *new absl::flat_hash_map<std::string, std::weak_ptr<Provider>>;
  absl::MutexLock lock(&mu);
  std::weak_ptr<Provider>& known = providers[tls.certificate_file()];
  std::shared_ptr<Provider> provider = known.lock();
  if (provider == nullptr) {
    provider =
        std::make_shared<Provider>(tls.key_file(), tls.certificate_file(),
                                   tls.authorities_file(), kRefreshSeconds);
    known = provider;
  }
  return provider;
}

// Both ends show a certificate, and want one.
void UseCertificates(const TlsCredentials& tls,
                     grpc::experimental::TlsCredentialsOptions& options) {
  options.set_certificate_provider(CertificatesOf(tls));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
}

std::shared_ptr<grpc::ChannelCredentials> CredentialsFor(
    const Endpoint& endpoint) {
  if (endpoint.tls == nullptr) return grpc::InsecureChannelCredentials();
  grpc::experimental::TlsChannelCredentialsOptions options;
  UseCertificates(*endpoint.tls, options);
  return grpc::experimental::TlsCredentials(options);
}

}  // namespace

std::shared_ptr<grpc::Channel> NewPageChannel(const Endpoint& endpoint) {
  grpc::ChannelArguments args;
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  args.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveTimeMs);
  args.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  args.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  args.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // gRPC 1.51 ends the process where a server's status is no number: its retry
  // filter takes for given that there is one. Who calls tries again himself.
  args.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  args.SetInt(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, kMaxFrameBytes);
  if (endpoint.tls != nullptr) {
    args.SetSslTargetNameOverride(endpoint.server_name);
  }
  return grpc::CreateCustomChannel(endpoint.address, CredentialsFor(endpoint),
                                   args);
}

std::shared_ptr<grpc::ServerCredentials> PageServerCredentials(
    const TlsCredentials* tls) {
  if (tls == nullptr) return grpc::InsecureServerCredentials();
  grpc::experimental::TlsServerCredentialsOptions options(CertificatesOf(*tls));
  UseCertificates(*tls, options);
  options.set_cert_request_type(
      GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  return grpc::experimental::TlsServerCredentials(options);
}

void ConfigurePageServer(grpc::ServerBuilder& builder) {
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveTimeMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             kKeepaliveTimeoutMs);
  builder.AddChannelArgument(
      GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
      kKeepaliveTimeMs / 2);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, kMaxFrameBytes);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
}

}  // namespace pagelift
