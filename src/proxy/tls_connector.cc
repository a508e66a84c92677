#include "proxy/tls_connector.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "proxy/prefix_socket.h"
#include "proxy/proxy_protocol.h"

namespace lateen::proxy {
namespace {

class NoEvents final : public net::SocketEvents {
 public:
  void on_readable() override {}
  void on_writable() override {}
  void on_socket_error(int) override {}
};

// A connection that cannot even begin: fails after the current event, as refused ones do.
class FailedSocket final : public net::Socket {
 public:
  FailedSocket(net::Loop& loop, const net::Address& to, std::string why, net::SocketEvents& events)
      : remote_(to), why_(std::move(why)), events_(&events) {
    loop.arm<&FailedSocket::tell>(timer_, Duration::zero(), this);
  }
  const std::string& why() const { return why_; }

  void set_events(net::SocketEvents* events) override { events_ = events; }
  net::IoResult read(std::span<std::byte>) override { return kFailed; }
  net::IoResult readv(std::span<const iovec>) override { return kFailed; }
  net::IoResult writev(std::span<const iovec>) override { return kFailed; }
  net::IoResult peek(std::span<std::byte>) override { return kFailed; }
  void shutdown_write() override {}
  void reset_on_close() override {}
  net::Address local_address() const override { return {}; }
  net::Address remote_address() const override { return remote_; }
  void set_keepalive(Duration, Duration, int) override {}

 private:
  static constexpr net::IoResult kFailed{net::IoStatus::kError, 0, ECONNREFUSED};
  void tell() {
    if (events_ != nullptr) events_->on_socket_error(ECONNREFUSED);
  }
  const net::Address remote_;
  const std::string why_;
  net::SocketEvents* events_;
  net::Timer timer_;
};

class TransportConnector final : public stream::Connector {
 public:
  TransportConnector(const runtime::Transport& transport, std::string header, stream::TlsConnectOptions names,
                     std::vector<std::string> alpn, const TransportSource& source)
      : tls_(transport.tls), header_(std::move(header)), names_(std::move(names)), alpn_(std::move(alpn)), source_(source) {}

  std::unique_ptr<net::Socket> connect(net::Loop& loop, const net::Address& to, net::SocketEvents& events,
                                       const net::Address& bind_to) const override {
    if (tls_ == nullptr) return connect_with_prefix(loop, to, bind_to, header_, events);
    TlsContextResult context = source_.contexts->upstream(tls_, alpn_, *source_.secrets);
    // Envoy's words for a secret that has not come, and ours for one that is no good.
    if (!context) {
      const bool missing = context.error().code == ErrorCode::kNotFound;
      return std::make_unique<FailedSocket>(loop, to, "TLS_error: " + std::string(missing ? "Secret is not supplied by SDS: " : "") + context.error().message, events);
    }
    static NoEvents no_events;
    std::unique_ptr<net::Socket> beneath = header_.empty() ? loop.connect(to, no_events, bind_to)
                                                           : connect_with_prefix(loop, to, bind_to, header_, no_events);
    stream::TlsConnectOptions names = names_;
    names.session_key = net::to_string(to);
    return stream::start_tls(loop, std::move(beneath), false, *std::move(context), names, events);
  }

  std::string_view failure(const net::Socket& socket) const override {
    if (const auto* tls = dynamic_cast<const stream::TlsSocket*>(&socket)) return tls->failure();
    if (const auto* failed = dynamic_cast<const FailedSocket*>(&socket)) return failed->why();
    return {};
  }

 private:
  const std::shared_ptr<const runtime::UpstreamTls> tls_;
  const std::string header_;
  const stream::TlsConnectOptions names_;
  const std::vector<std::string> alpn_;
  const TransportSource source_;
};

std::string_view without_port(std::string_view authority) {
  if (authority.starts_with('[')) {
    const std::size_t end = authority.find(']');
    return end == std::string_view::npos ? authority : authority.substr(1, end - 1);
  }
  return authority.substr(0, authority.find(':'));
}

bool is_ip(std::string_view text) {
  const bool v6 = text.find(':') != std::string_view::npos;
  return net::parse_address(v6 ? "[" + std::string(text) + "]:0" : std::string(text) + ":0").has_value();
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

std::string server_name(const runtime::UpstreamTls& tls, const ConnectionWish& wish, std::string_view host) {
  if (tls.sni_from_host && !host.empty()) return std::string(host);
  if (tls.sni_from_request) {
    // An IP is no server name (RFC 6066, section 3); the configured one stands in.
    const std::string_view name = without_port(wish.authority);
    if (!name.empty() && !is_ip(name)) return lower(name);
  }
  return tls.sni;
}

// What the certificate must be for: the server's name, or the address that a request names (which is no SNI). Empty: anything.
std::string name_to_verify(const runtime::UpstreamTls& tls, const ConnectionWish& wish, const std::string& server_name) {
  if (!tls.names_from_sni) return {};
  const std::string_view asked = without_port(wish.authority);
  return tls.sni_from_request && is_ip(asked) ? std::string(asked) : server_name;
}

std::string header_of(const runtime::Transport& transport, const ConnectionWish& wish) {
  if (transport.proxy_protocol == 0) return {};
  static const net::Address kNobody;
  return write_proxy_header(transport.proxy_protocol, wish.source == nullptr ? kNobody : *wish.source,
                            wish.destination == nullptr ? kNobody : *wish.destination);
}

}  // namespace

const runtime::Transport& transport_of(const runtime::Cluster& cluster, const runtime::EndpointSet* endpoints,
                                       const runtime::Endpoint& endpoint) {
  static const runtime::Transport kPlain;
  static const std::map<std::string, std::string> kNoMetadata;
  if (cluster.transport_matches.empty()) return cluster.transport;
  const runtime::TransportMetadata& metadata = endpoints != nullptr ? endpoints->metadata_of(endpoint.transport_metadata) : kNoMetadata;
  for (const runtime::Cluster::TransportMatch& match : cluster.transport_matches) {
    const bool fits = std::all_of(match.criteria.begin(), match.criteria.end(), [&](const auto& wanted) {
      const auto found = metadata.find(wanted.first);
      return found != metadata.end() && found->second == wanted.second;
    });
    if (fits) return match.plain ? kPlain : match.transport;
  }
  return cluster.transport;
}

std::string connection_key(const runtime::Transport& transport, const ConnectionWish& wish) {
  std::string key = header_of(transport, wish);
  if (transport.tls != nullptr && transport.tls->sni_from_request) {
    const std::string name = server_name(*transport.tls, wish, {});
    key += '|' + name + '|' + name_to_verify(*transport.tls, wish, name);
  }
  return key;
}

std::shared_ptr<const stream::Connector> make_connector(const runtime::Transport& transport, const ConnectionWish& wish,
                                                        std::string_view host, std::vector<std::string> default_alpn,
                                                        const TransportSource& source) {
  if (transport.tls == nullptr && transport.proxy_protocol == 0) return nullptr;
  stream::TlsConnectOptions names;
  if (transport.tls != nullptr) {
    names.server_name = server_name(*transport.tls, wish, host);
    names.verify_name = name_to_verify(*transport.tls, wish, names.server_name);
  }
  return std::make_shared<const TransportConnector>(transport, header_of(transport, wish), std::move(names),
                                                    std::move(default_alpn), source);
}

}  // namespace lateen::proxy
