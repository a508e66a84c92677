#include "proxy/request_headers.h"

#include <algorithm>
#include <array>

#include "http/path.h"
#include "net/loop.h"

namespace lateen::proxy {
namespace {

using http::HeaderId;

constexpr std::uint64_t bit(HeaderId id) { return std::uint64_t{1} << static_cast<unsigned>(id); }

// What only a trusted hop may say. Nobody is trusted by address (Envoy's default without internal_address_config).
constexpr std::uint64_t kInternal =
    bit(HeaderId::kXEnvoyInternal) | bit(HeaderId::kXEnvoyRetryOn) | bit(HeaderId::kXEnvoyMaxRetries) |
    bit(HeaderId::kXEnvoyUpstreamRqTimeoutMs) | bit(HeaderId::kXEnvoyUpstreamRqPerTryTimeoutMs) |
    bit(HeaderId::kXEnvoyExpectedRqTimeoutMs);
// What a gateway takes away as well.
constexpr std::uint64_t kInternalAtEdge = bit(HeaderId::kXEnvoyDecoratorOperation) | bit(HeaderId::kXEnvoyOriginalPath);

constexpr std::array<std::string_view, 10> kOtherInternal = {
    "x-envoy-retry-grpc-on", "x-envoy-retriable-status-codes", "x-envoy-retriable-header-names",
    "x-envoy-upstream-alt-stat-name", "x-envoy-upstream-rq-timeout-alt-response", "x-envoy-force-trace", "x-envoy-ip-tags",
    "x-envoy-original-url", "x-envoy-hedge-on-per-try-timeout", "x-envoy-upstream-stream-duration-ms"};
constexpr std::array<std::string_view, 3> kOtherInternalAtEdge = {
    "x-envoy-downstream-service-cluster", "x-envoy-downstream-service-node", "x-envoy-original-host"};

// One pass tells which well-known names are there: most requests have none of those looked for.
std::uint64_t names_present(const http::HeaderMap& headers) {
  std::uint64_t present = 0;
  for (const http::Header& header : headers.fields()) present |= bit(header.id);
  return present;
}

template <std::size_t N>
void remove_all(http::HeaderMap& headers, const std::array<std::string_view, N>& names) {
  for (const std::string_view name : names) headers.remove(name);
}

void remove_internal(http::HeaderMap& headers, std::uint64_t present, bool edge) {
  const std::uint64_t unwanted = present & (kInternal | (edge ? kInternalAtEdge : 0));
  for (unsigned id = 0; unwanted >> id != 0; ++id) {
    if ((unwanted >> id & 1U) != 0) headers.remove(static_cast<HeaderId>(id));
  }
  if ((present & (bit(HeaderId::kXEnvoyOther) | bit(HeaderId::kOther))) == 0) return;
  const bool others = std::any_of(headers.fields().begin(), headers.fields().end(),
                                  [](const http::Header& header) { return header.name.starts_with("x-envoy-"); });
  if (!others) return;
  remove_all(headers, kOtherInternal);
  if (edge) remove_all(headers, kOtherInternalAtEdge);
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// The address that `hops` trusted proxies before us saw: counted from the right of x-forwarded-for.
std::string_view trusted_address(std::string_view forwarded_for, std::uint32_t hops) {
  for (std::uint32_t hop = 1; hop < hops; ++hop) {
    const std::size_t comma = forwarded_for.rfind(',');
    if (comma == std::string_view::npos) return {};
    forwarded_for.remove_suffix(forwarded_for.size() - comma);
  }
  const std::size_t comma = forwarded_for.rfind(',');
  return trimmed(comma == std::string_view::npos ? forwarded_for : forwarded_for.substr(comma + 1));
}

bool is_address(std::string_view text) {
  if (text.empty()) return false;
  const bool v6 = text.find(':') != std::string_view::npos;
  return net::parse_address(v6 ? "[" + std::string(text) + "]:0" : std::string(text) + ":0").has_value();
}

// use_remote_address: we are the edge and say who the client is.
void set_edge_headers(http::RequestHead& head, const runtime::HttpConnectionSettings& settings,
                      const ConnectionFacts& connection) {
  std::string forwarded_for;
  for (const http::Header& header : head.headers.fields()) {
    if (header.id != HeaderId::kXForwardedFor) continue;
    if (!forwarded_for.empty()) forwarded_for += ',';
    forwarded_for += header.value;
  }
  std::string_view client;
  if (settings.trusted_hops > 0) client = trusted_address(forwarded_for, settings.trusted_hops);
  if (!is_address(client)) client = {};
  const std::string client_address(client.empty() ? connection.remote_ip : client);
  if (!forwarded_for.empty()) forwarded_for += ',';
  forwarded_for += connection.remote_ip;
  head.headers.set(HeaderId::kXForwardedFor, forwarded_for);
  head.headers.set(HeaderId::kXEnvoyExternalAddress, client_address);
  if (settings.trusted_hops == 0 || !head.headers.has(HeaderId::kXForwardedProto)) {
    head.headers.set(HeaderId::kXForwardedProto, connection.tls ? "https" : "http");
  }
}

Preparation normalize(http::RequestHead& head, const runtime::HttpConnectionSettings& settings, std::string& storage) {
  const bool keep = settings.escaped_slashes == runtime::EscapedSlashes::kKeep;
  if (!settings.normalize_path && !settings.merge_slashes && keep) return Preparation::kReady;
  if (head.path.empty() || head.path.front() != '/') return Preparation::kReady;   // "*", or CONNECT
  http::PathRules rules{.normalize = settings.normalize_path, .merge_slashes = settings.merge_slashes};
  switch (settings.escaped_slashes) {
    case runtime::EscapedSlashes::kKeep: rules.escaped_slashes = http::EscapedSlashesAction::kKeep; break;
    case runtime::EscapedSlashes::kReject: rules.escaped_slashes = http::EscapedSlashesAction::kReject; break;
    case runtime::EscapedSlashes::kUnescapeAndRedirect:
      rules.escaped_slashes = http::EscapedSlashesAction::kUnescapeAndRedirect;
      break;
    case runtime::EscapedSlashes::kUnescapeAndForward:
      rules.escaped_slashes = http::EscapedSlashesAction::kUnescapeAndForward;
      break;
  }
  storage.clear();
  switch (http::normalize_path(head.path, rules, storage)) {
    case http::PathOutcome::kUnchanged: return Preparation::kReady;
    case http::PathOutcome::kChanged: head.path = storage; return Preparation::kReady;
    case http::PathOutcome::kRedirect: return Preparation::kRedirect;
    case http::PathOutcome::kRefused: return Preparation::kBadPath;
  }
  return Preparation::kBadPath;
}

// "x_a" and "x-a" are one name to many a backend: what the two halves of a policy see could differ (Envoy,
// headers_with_underscores_action). False: refuse.
bool settle_underscores(http::HeaderMap& headers, runtime::UnderscoresInNames action) {
  const auto bad = [](const http::Header& field) { return field.name.find('_') != std::string_view::npos; };
  switch (action) {
    case runtime::UnderscoresInNames::kAllow: return true;
    case runtime::UnderscoresInNames::kReject: return std::ranges::none_of(headers.fields(), bad);
    case runtime::UnderscoresInNames::kDrop: headers.remove_if(bad); return true;
  }
  return false;
}

}  // namespace

std::string client_address(const http::RequestHead& head, const runtime::HttpConnectionSettings& settings,
                           const ConnectionFacts& connection) {
  std::string_view found;
  if (settings.use_remote_address) {
    found = head.headers.get(HeaderId::kXEnvoyExternalAddress).value_or(std::string_view());
  } else {
    for (const http::Header& field : head.headers.fields()) {
      if (field.id == HeaderId::kXForwardedFor) found = trusted_address(field.value, settings.trusted_hops + 1);
    }
  }
  return std::string(is_address(found) ? found : connection.remote_ip);
}

void write_uuid(char* out, Random& random) {
  constexpr char kHex[] = "0123456789abcdef";
  const std::uint64_t words[2] = {random.next(), random.next()};
  std::size_t at = 0;
  for (unsigned digit = 0; digit < 32; ++digit) {
    if (digit == 8 || digit == 12 || digit == 16 || digit == 20) out[at++] = '-';
    auto value = static_cast<unsigned>(words[digit / 16] >> (digit % 16 * 4)) & 0xfU;
    if (digit == 12) value = 4;                    // version
    if (digit == 16) value = (value & 0x3U) | 8U;  // variant (RFC 9562)
    out[at++] = kHex[value];
  }
}

Preparation prepare_request(http::RequestHead& head, const runtime::HttpConnectionSettings& settings,
                            const ConnectionFacts& connection, Random& random, std::string& path_storage) {
  if (!settle_underscores(head.headers, settings.underscores)) return Preparation::kBadName;
  // A CONNECT is for its port: it keeps it.
  if (settings.strips_port && head.method != "CONNECT") {
    if (const auto asked = http::parse_authority(head.authority); asked && asked->port) head.authority = asked->host;
  }
  const std::uint64_t present = names_present(head.headers);
  const bool edge = settings.use_remote_address;
  if (edge && head.absolute_form && head.scheme == "https" && !connection.tls) return Preparation::kBadScheme;
  if (connection.tls || (present & bit(HeaderId::kOther)) != 0) set_forwarded_client_cert(head.headers, settings, connection.client_tls);
  remove_internal(head.headers, present, edge);
  if (edge) {
    set_edge_headers(head, settings, connection);
  } else if ((present & bit(HeaderId::kXForwardedProto)) == 0) {
    head.headers.add_reference(HeaderId::kXForwardedProto, connection.tls ? "https" : "http");
  }
  const bool has_id = (present & bit(HeaderId::kXRequestId)) != 0;
  if (settings.generate_request_id && (!has_id || (edge && !settings.preserve_external_request_id))) {
    char uuid[kUuidBytes];
    write_uuid(uuid, random);
    head.headers.set(HeaderId::kXRequestId, std::string_view(uuid, kUuidBytes));
  }
  return normalize(head, settings, path_storage);
}

}  // namespace lateen::proxy
