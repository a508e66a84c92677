#include "proxy/access_log_format.h"

#include <algorithm>
#include <array>

#include "proxy/access_log_time.h"

namespace lateen::proxy {

namespace {

struct Flag {
  ResponseFlag flag;
  std::string_view name;
};
constexpr std::array<Flag, 23> kFlags = {{
    {kDelayInjected, "DI"}, {kRateLimited, "RL"}, {kFaultInjected, "FI"}, {kNoRouteFound, "NR"}, {kNoClusterFound, "NC"},
    {kUpstreamRetryLimitExceeded, "URX"}, {kUpstreamConnectionFailure, "UF"}, {kUpstreamConnectionTermination, "UC"},
    {kUpstreamOverflow, "UO"}, {kUpstreamRemoteReset, "UR"}, {kLocalReset, "LR"}, {kUpstreamProtocolError, "UPE"},
    {kNoHealthyUpstream, "UH"}, {kUpstreamRequestTimeout, "UT"}, {kStreamIdleTimeout, "SI"},
    {kUpstreamMaxStreamDurationReached, "UMSDR"}, {kDurationTimeout, "DT"}, {kFailedLocalHealthCheck, "LH"},
    {kOverloadManager, "OM"}, {kDownstreamProtocolError, "DPE"}, {kDownstreamConnectionTermination, "DC"}, {kDropOverload, "DO"},
    {kDnsResolutionFailure, "DF"},
}};

constexpr std::array<std::string_view, 17> kGrpcNames = {
    "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied",
    "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable",
    "DataLoss", "Unauthenticated"};

std::string_view protocol_text(http::Version version) {
  switch (version) {
    case http::Version::kHttp10: return "HTTP/1.0";
    case http::Version::kHttp11: return "HTTP/1.1";
    case http::Version::kHttp2: return "HTTP/2";
  }
  return "";
}

// "10.0.0.1:80" -> "10.0.0.1", "[::1]:80" -> "[::1]".
std::string_view without_port(std::string_view address) {
  const std::size_t colon = address.rfind(':');
  return address.starts_with("unix:") || colon == std::string_view::npos ? address : address.substr(0, colon);
}

std::string_view port_of(std::string_view address) {
  const std::string_view host = without_port(address);
  return host.size() == address.size() ? std::string_view() : address.substr(host.size() + 1);
}

std::string_view request_field(const http::RequestHead& head, std::string_view name) {
  if (!name.starts_with(':')) return head.headers.get(name).value_or(std::string_view());
  if (name == ":method") return head.method;
  if (name == ":path") return head.path;
  if (name == ":authority") return head.authority;
  return head.scheme;
}

void append_escaped(std::string& text, std::string_view value) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f && c != '"' && c != '\\') {
      text += c;
      continue;
    }
    text += "\\x";
    text += kHex[byte >> 4];
    text += kHex[byte & 15];
  }
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

}  // namespace

void append_response_flags(std::string& text, std::uint32_t flags) {
  const std::size_t before = text.size();
  for (const Flag& flag : kFlags) {
    if ((flags & flag.flag) == 0) continue;
    if (text.size() > before) text += ',';
    text += flag.name;
  }
  if (text.size() == before) text += '-';
}

struct AccessLogFormat::Known {
  std::string_view name;
  Operator op;
};

const AccessLogFormat::Known* AccessLogFormat::find(std::string_view name) {
  using enum Operator;
  static constexpr Known kKnown[] = {
      {"START_TIME", kStartTime}, {"REQ", kRequestHeader}, {"RESP", kResponseHeader}, {"TRAILER", kResponseTrailer},
      {"PROTOCOL", kProtocol}, {"RESPONSE_CODE", kResponseCode}, {"RESPONSE_FLAGS", kResponseFlags},
      {"RESPONSE_CODE_DETAILS", kResponseCodeDetails}, {"CONNECTION_TERMINATION_DETAILS", kConnectionTerminationDetails},
      {"UPSTREAM_TRANSPORT_FAILURE_REASON", kUpstreamTransportFailureReason}, {"BYTES_RECEIVED", kBytesReceived},
      {"BYTES_SENT", kBytesSent}, {"DURATION", kDuration}, {"UPSTREAM_SERVICE_TIME", kUpstreamServiceTime},
      {"UPSTREAM_HOST", kUpstreamHost}, {"UPSTREAM_REMOTE_ADDRESS", kUpstreamHost}, {"UPSTREAM_CLUSTER", kUpstreamCluster},
      {"UPSTREAM_CLUSTER_RAW", kUpstreamCluster}, {"UPSTREAM_LOCAL_ADDRESS", kUpstreamLocalAddress},
      {"UPSTREAM_REQUEST_ATTEMPT_COUNT", kUpstreamRequestAttemptCount},
      {"DOWNSTREAM_LOCAL_ADDRESS", kDownstreamLocalAddress},
      {"DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", kDownstreamLocalAddressWithoutPort},
      {"DOWNSTREAM_LOCAL_PORT", kDownstreamLocalPort}, {"DOWNSTREAM_REMOTE_ADDRESS", kDownstreamRemoteAddress},
      {"DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", kDownstreamRemoteAddressWithoutPort},
      {"DOWNSTREAM_REMOTE_PORT", kDownstreamRemotePort}, {"REQUESTED_SERVER_NAME", kRequestedServerName},
      {"ROUTE_NAME", kRouteName}, {"GRPC_STATUS", kGrpcStatus}, {"GRPC_STATUS_NUMBER", kGrpcStatusNumber},
      // "-" where the client's connection is plain text, or where it has shown no certificate.
      {"DOWNSTREAM_TLS_VERSION", kTlsVersion}, {"DOWNSTREAM_TLS_CIPHER", kTlsCipher}, {"DOWNSTREAM_TLS_SESSION_ID", kTlsSessionId},
      {"DOWNSTREAM_PEER_SUBJECT", kPeerSubject}, {"DOWNSTREAM_PEER_ISSUER", kPeerIssuer}, {"DOWNSTREAM_PEER_SERIAL", kPeerSerial},
      {"DOWNSTREAM_PEER_FINGERPRINT_256", kPeerFingerprint256}, {"DOWNSTREAM_PEER_FINGERPRINT_1", kPeerFingerprint1},
      {"DOWNSTREAM_PEER_CERT", kPeerCert}, {"DOWNSTREAM_PEER_URI_SAN", kPeerUriSan}, {"DOWNSTREAM_PEER_DNS_SAN", kPeerDnsSan},
      {"DOWNSTREAM_PEER_CERT_V_START", kPeerCertStart}, {"DOWNSTREAM_PEER_CERT_V_END", kPeerCertEnd},
      {"DOWNSTREAM_LOCAL_SUBJECT", kLocalSubject}, {"DOWNSTREAM_LOCAL_URI_SAN", kLocalUriSan},
      {"DOWNSTREAM_LOCAL_DNS_SAN", kLocalDnsSan}, {"UPSTREAM_TLS_VERSION", kNothing},
  };
  const auto* found = std::find_if(std::begin(kKnown), std::end(kKnown), [name](const Known& known) { return known.name == name; });
  return found == std::end(kKnown) ? nullptr : found;
}

Result<AccessLogFormat> AccessLogFormat::compile(std::string_view format) {
  if (format.empty()) format = kIstioAccessLogFormat;
  AccessLogFormat out;
  std::string literal;
  const auto flush = [&] {
    if (!literal.empty()) out.parts_.push_back({.op = Operator::kLiteral, .text = std::exchange(literal, {}), .alternative = {}});
  };
  for (std::size_t at = 0; at < format.size();) {
    if (format[at] != '%') {
      literal += format[at++];
    } else if (format.substr(at).starts_with("%%")) {
      literal += '%';
      at += 2;
    } else {
      flush();
      LATEEN_TRY(Part part, compile_operator(format, at));
      out.parts_.push_back(std::move(part));
    }
  }
  flush();
  return out;
}

// "%NAME%", "%NAME(argument)%", "%NAME(argument):length%". `at` stands at the first "%" and is moved behind the last.
Result<AccessLogFormat::Part> AccessLogFormat::compile_operator(std::string_view format, std::size_t& at) {
  const std::size_t begin = at;
  const auto bad = [&](std::string_view why) {
    return fail(ErrorCode::kInvalidConfig, "access log format, at \"" + std::string(format.substr(begin, 40)) + "\": " + std::string(why));
  };
  const std::size_t name_end = format.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", begin + 1);
  if (name_end == std::string_view::npos || name_end == begin + 1) return bad("not an operator; write %% for a percent sign");
  const std::string_view name = format.substr(begin + 1, name_end - begin - 1);
  const Known* known = find(name);
  if (known == nullptr) {
    return fail(ErrorCode::kUnsupported, "access log format: %" + std::string(name) + "% is not supported");
  }
  Part part{.op = known->op, .text = {}, .alternative = {}};
  at = name_end;
  const bool has_argument = format[at] == '(';
  std::string_view argument;
  if (has_argument) {
    const std::size_t end = format.find(')', at);
    if (end == std::string_view::npos) return bad("\")\" is missing");
    argument = format.substr(at + 1, end - at - 1);
    at = end + 1;
  }
  if (at < format.size() && format[at] == ':') {
    constexpr std::size_t kLengthMax = 65536;
    const std::size_t digits = ++at;
    while (at < format.size() && format[at] >= '0' && format[at] <= '9' && part.length_max < kLengthMax) {
      part.length_max = part.length_max * 10 + static_cast<std::size_t>(format[at++] - '0');
    }
    if (at == digits || part.length_max == 0) return bad("a length above 0 must follow \":\"");
  }
  if (at >= format.size() || format[at] != '%') return bad("the closing \"%\" is missing");
  ++at;
  LATEEN_TRY_VOID(set_argument(part, name, argument, has_argument));
  return part;
}

Result<void> AccessLogFormat::set_argument(Part& part, std::string_view name, std::string_view argument, bool has_argument) {
  const auto bad = [name](std::string_view why) {
    return fail(ErrorCode::kInvalidConfig, "access log format: %" + std::string(name) + "%: " + std::string(why));
  };
  if (part.op == Operator::kStartTime) {
    part.text = argument.empty() ? kAccessLogTimeFormat : argument;
    return check_time_format(part.text);
  }
  const bool request = part.op == Operator::kRequestHeader;
  if (!request && part.op != Operator::kResponseHeader && part.op != Operator::kResponseTrailer) {
    return has_argument ? Result<void>(bad("takes no argument")) : Result<void>();
  }
  const std::size_t mark = argument.find('?');
  part.text = lower_case(argument.substr(0, mark));
  if (mark != std::string_view::npos) part.alternative = lower_case(argument.substr(mark + 1));
  if (part.text.empty() || (mark != std::string_view::npos && part.alternative.empty())) return bad("needs the name of a header");
  for (const std::string& header : {part.text, part.alternative}) {
    constexpr std::array<std::string_view, 4> kPseudo = {":method", ":path", ":authority", ":scheme"};
    if (!header.starts_with(':')) continue;
    if (!request || std::find(kPseudo.begin(), kPseudo.end(), header) == kPseudo.end()) {
      return bad("\"" + header + "\" is no field of this message");
    }
  }
  return {};
}

void AccessLogFormat::append(std::string& text, const RequestRecord& record) const {
  for (const Part& part : parts_) {
    if (part.op == Operator::kLiteral) {
      text += part.text;
    } else {
      append_part(text, part, record);
    }
  }
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wswitch-enum"   // numbers here, texts below: each handles its own operators

bool AccessLogFormat::append_number(std::string& text, Operator op, const RequestRecord& record) {
  const auto milliseconds = [](Duration duration) {
    return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
  };
  switch (op) {
    case Operator::kResponseCode: text += std::to_string(record.status); return true;
    case Operator::kResponseFlags: append_response_flags(text, record.flags); return true;
    case Operator::kBytesReceived: text += std::to_string(record.bytes_received); return true;
    case Operator::kBytesSent: text += std::to_string(record.bytes_sent); return true;
    case Operator::kDuration: text += milliseconds(record.duration); return true;
    case Operator::kUpstreamServiceTime:
      text += record.upstream_service_time < Duration::zero() ? "-" : milliseconds(record.upstream_service_time);
      return true;
    case Operator::kUpstreamRequestAttemptCount: text += std::to_string(record.attempts); return true;
    case Operator::kGrpcStatusNumber:
      text += record.grpc_status < 0 ? "-" : std::to_string(record.grpc_status);
      return true;
    default: return false;
  }
}

std::string_view AccessLogFormat::text_of(const Part& part, const RequestRecord& record) {
  const auto either = [&part](auto get) {
    const std::string_view value = get(std::string_view(part.text));
    return value.empty() && !part.alternative.empty() ? get(std::string_view(part.alternative)) : value;
  };
  const auto field = [](const http::HeaderMap* headers, std::string_view name) {
    return headers == nullptr ? std::string_view() : headers->get(name).value_or(std::string_view());
  };
  switch (part.op) {
    case Operator::kRequestHeader:
      if (record.request == nullptr) return {};
      return either([&](std::string_view name) { return request_field(*record.request, name); });
    case Operator::kResponseHeader: {
      const http::HeaderMap* headers = record.response == nullptr ? nullptr : &record.response->headers;
      return either([&](std::string_view name) { return field(headers, name); });
    }
    case Operator::kResponseTrailer:
      return either([&](std::string_view name) { return field(record.response_trailers, name); });
    case Operator::kProtocol: return record.request == nullptr ? std::string_view() : protocol_text(record.request->version);
    case Operator::kResponseCodeDetails: return record.details;
    case Operator::kConnectionTerminationDetails: return record.connection_termination_details;
    case Operator::kUpstreamTransportFailureReason: return record.upstream_transport_failure;
    case Operator::kUpstreamHost: return record.upstream_host;
    case Operator::kUpstreamCluster: return record.cluster_name;
    case Operator::kUpstreamLocalAddress: return record.upstream_local_address;
    case Operator::kDownstreamLocalAddress: return record.downstream_local_address;
    case Operator::kDownstreamLocalAddressWithoutPort: return without_port(record.downstream_local_address);
    case Operator::kDownstreamLocalPort: return port_of(record.downstream_local_address);
    case Operator::kDownstreamRemoteAddress: return record.downstream_remote_address;
    case Operator::kDownstreamRemoteAddressWithoutPort: return without_port(record.downstream_remote_address);
    case Operator::kDownstreamRemotePort: return port_of(record.downstream_remote_address);
    case Operator::kRequestedServerName: return record.requested_server_name;
    case Operator::kRouteName: return record.route_name == nullptr ? std::string_view() : record.route_name->view();
    case Operator::kGrpcStatus:
      if (record.grpc_status < 0) return {};
      return static_cast<std::size_t>(record.grpc_status) < kGrpcNames.size()
                 ? kGrpcNames[static_cast<std::size_t>(record.grpc_status)] : "InvalidCode";
    default: return {};
  }
}

// What is known of a client that came over TLS; one word, or "-".
bool AccessLogFormat::append_tls(std::string& text, Operator op, const RequestRecord& record) {
  static const ClientTls kPlain;
  const ClientTls& tls = record.client_tls == nullptr ? kPlain : *record.client_tls;
  const auto one = [&text](std::string_view value) {
    if (value.empty()) text += '-';
    else append_escaped(text, value);
    return true;
  };
  const auto all = [&](const std::vector<std::string>& values) {
    std::string joined;
    for (const std::string& value : values) joined += (joined.empty() ? "" : ",") + value;
    return one(joined);
  };
  const auto time = [&](std::int64_t seconds) {
    if (seconds == 0) return one("");
    append_time(text, kAccessLogTimeFormat, WallTime(std::chrono::seconds(seconds)));
    return true;
  };
  switch (op) {
    case Operator::kTlsVersion: return one(tls.version);
    case Operator::kTlsCipher: return one(tls.cipher);
    case Operator::kTlsSessionId: return one(tls.session_id);
    case Operator::kPeerSubject: return one(tls.peer.subject);
    case Operator::kPeerIssuer: return one(tls.peer.issuer);
    case Operator::kPeerSerial: return one(tls.peer.serial);
    case Operator::kPeerFingerprint256: return one(tls.peer.sha256);
    case Operator::kPeerFingerprint1: return one(tls.peer.sha1);
    case Operator::kPeerCert: return one(percent_encoded(tls.peer.pem));
    case Operator::kPeerUriSan: return all(tls.peer.uris);
    case Operator::kPeerDnsSan: return all(tls.peer.dns_names);
    case Operator::kPeerCertStart: return time(tls.peer.valid_from);
    case Operator::kPeerCertEnd: return time(tls.peer.valid_until);
    case Operator::kLocalSubject: return one(tls.local.subject);
    case Operator::kLocalUriSan: return all(tls.local.uris);
    case Operator::kLocalDnsSan: return all(tls.local.dns_names);
    default: return false;
  }
}

#pragma GCC diagnostic pop

void AccessLogFormat::append_part(std::string& text, const Part& part, const RequestRecord& record) {
  if (append_number(text, part.op, record) || append_tls(text, part.op, record)) return;
  if (part.op == Operator::kStartTime) return append_time(text, part.text, record.started_wall);
  std::string_view value = text_of(part, record);
  if (part.length_max > 0) value = value.substr(0, part.length_max);
  if (value.empty()) {
    text += '-';
    return;
  }
  const std::size_t begin = text.size();
  append_escaped(text, value);
  // One word for the readers of logs that cut lines at spaces, as Envoy does with this operator.
  if (part.op == Operator::kResponseCodeDetails || part.op == Operator::kUpstreamTransportFailureReason) std::replace(text.begin() + static_cast<std::ptrdiff_t>(begin), text.end(), ' ', '_');
}

}  // namespace lateen::proxy
