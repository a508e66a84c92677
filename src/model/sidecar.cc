// Reading Sidecar: the field tables and what istiod's validation says about them.
#include "model/sidecar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <string_view>

#include "model/common_shapes.h"
#include "model/kinds.h"
#include "model/names.h"

namespace lateen::model {

namespace {

constexpr std::uint32_t kPortMax = 65535;
constexpr std::string_view kEndpointForms = "write 127.0.0.1:PORT, 0.0.0.0:PORT, [::1]:PORT, [::]:PORT or unix:///PATH";

// Istio's names for outboundTrafficPolicy.mode; 0 is REGISTRY_ONLY.
enum class OutboundMode : std::uint8_t { kRegistryOnly, kAllowAny, kAllowAnyDynamicDns };
struct OutboundPolicy {
  OutboundMode mode = OutboundMode::kRegistryOnly;
  std::optional<Destination> egress_proxy;
};
struct EgressProxy {
  Destination to;
};

void ip_bind(Reader& reader, const std::string& value) {
  if (!value.empty() && !is_ip_address(value))
    reader.error(kBadValue, "\"" + value + "\" is no IP address", "write bind: 127.0.0.1");
}

// "namespace/host"; the namespace may be "*", "." and, to leave hosts out, begin with "~".
void egress_host(Reader& reader, const std::string& value) {
  const auto slash = value.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == value.size()) {
    reader.error(kBadValue, "\"" + value + "\" is not of the form NAMESPACE/HOST", "write ./reviews.default.svc.cluster.local or */*");
    return;
  }
  std::string_view space = std::string_view(value).substr(0, slash);
  const std::string host = value.substr(slash + 1);
  if (space.starts_with('~')) space.remove_prefix(1);
  if (!space.empty() && space != "*" && space != "." && !is_lower_dns_label(space))
    reader.error(kBadValue, "\"" + std::string(space) + "\" is no namespace", "write NAMESPACE/HOST, ./HOST or */HOST");
  if (host == "*") return;
  if (host.find('.') == std::string::npos)
    reader.error(kBadValue, "the host \"" + host + "\" is a short name, and only full names are taken here", "write " + host + ".NAMESPACE.svc.cluster.local");
  else if (const std::string problem = wildcard_host_problem(host); !problem.empty())
    reader.error(kBadValue, "the host \"" + host + "\" " + problem);
  else if (host.find('*') != std::string::npos && !host.starts_with("*."))
    reader.error(kBadValue, "the host \"" + host + "\" has a wildcard for a part of a label", "write *.example.com");
}

// "127.0.0.1:80", "[::1]:80", ":80", "unix:///path".
void endpoint_address(Reader& reader, const std::string& value) {
  constexpr std::array<std::string_view, 5> kHosts = {"", "127.0.0.1", "0.0.0.0", "[::1]", "[::]"};
  if (value.empty() || is_unix_address(value)) return;
  const auto colon = value.rfind(':');
  const std::string_view host = std::string_view(value).substr(0, colon);
  if (colon == std::string::npos || std::find(kHosts.begin(), kHosts.end(), host) == kHosts.end()) {
    reader.error(kBadValue, "\"" + value + "\" is no address of the workload itself", std::string(kEndpointForms));
    return;
  }
  std::uint32_t port = 0;
  const char* end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data() + colon + 1, end, port);
  if (error != std::errc() || stop != end || port < 1 || port > kPortMax)
    reader.error(kBadValue, "the port of \"" + value + "\" is not in range 1..65535", std::string(kEndpointForms));
}

void full_host(Reader& reader, const std::string& value) {
  if (const std::string problem = fqdn_problem(value); !problem.empty()) reader.error(kBadValue, "the host \"" + value + "\" " + problem);
}

}  // namespace

template <>
struct Words<CaptureMode> {
  static constexpr std::pair<std::string_view, CaptureMode> kWords[] = {
      {"DEFAULT", CaptureMode::kDefault}, {"IPTABLES", CaptureMode::kIptables}, {"NONE", CaptureMode::kNone}};
};
template <>
struct Words<OutboundMode> {
  static constexpr std::pair<std::string_view, OutboundMode> kWords[] = {
      {"REGISTRY_ONLY", OutboundMode::kRegistryOnly}, {"ALLOW_ANY", OutboundMode::kAllowAny}, {"ALLOW_ANY_DYNAMIC_DNS", OutboundMode::kAllowAnyDynamicDns}};
};

template <>
struct Shape<SidecarPort> : Table<SidecarPort> {
  using T = SidecarPort;
  static void target_port(Reader& reader, const text::Node&, T&) {
    reader.error(kBadValue, "a target port means nothing to a Sidecar", "take it out, and write defaultEndpoint: 127.0.0.1:PORT");
  }
  static constexpr Field<T> kFields[] = {{"number", at<&T::number>},
                                         {"protocol", at<&T::protocol, protocol_word>},
                                         {"name", at<&T::name, port_name>},
                                         {"targetPort", target_port}};
};

template <>
struct Shape<IstioIngressListener> : Table<IstioIngressListener> {
  using T = IstioIngressListener;
  static void tls(Reader& reader, const text::Node& node, T& out) { read_server_tls(reader, node, out.tls.emplace()); }
  static void pool(Reader& reader, const text::Node& node, T& out) { read_connection_pool(reader, node, out.connection_pool.emplace()); }
  static constexpr Field<T> kFields[] = {{"port", at<&T::port>},
                                         {"bind", at<&T::bind, ip_bind>},
                                         {"captureMode", at<&T::capture_mode>},
                                         {"defaultEndpoint", at<&T::default_endpoint, endpoint_address>},
                                         {"tls", tls},
                                         {"connectionPool", pool}};
  static void check(Reader& reader, const T& listener, const text::Node& node) {
    if (!has(node, "port")) {
      reader.error(kMissingField, "the listener has no port", "write port: {number: 9080, protocol: HTTP, name: http}");
      return;
    }
    if (listener.port.number < 1 || listener.port.number > kPortMax)
      reader.error_below("port.number", kBadValue, "the port " + std::to_string(listener.port.number) + " is not in range 1..65535");
    if (listener.tls) check_tls(reader, listener);
    const std::string protocol = parse_protocol(listener.port.protocol);
    if (listener.connection_pool && listener.connection_pool->http && !is_http(protocol))
      reader.warn(kNoEffect, "the http settings of connectionPool have no effect on a port that is not HTTP", "write port.protocol: HTTP, or take them out");
  }
  static bool is_http(std::string_view protocol) {
    return protocol == "HTTP" || protocol == "HTTP2" || protocol == "GRPC" || protocol == "GRPC-WEB";
  }
  static void check_tls(Reader& reader, const T& listener) {
    const ServerTls& settings = *listener.tls;
    if (!settings.subject_alt_names.empty()) reader.error_below("tls.subjectAltNames", kConflictingFields, "is not for listeners of a Sidecar", "take it out");
    if (settings.https_redirect) reader.error_below("tls.httpsRedirect", kConflictingFields, "is not for listeners of a Sidecar", "take it out");
    if (!settings.credential_name.empty())
      reader.error_below("tls.credentialName", kConflictingFields, "is not for listeners of a Sidecar", "write serverCertificate and privateKey");
    if (settings.mode == "ISTIO_MUTUAL" || settings.mode == "AUTO_PASSTHROUGH")
      reader.error_below("tls.mode", kConflictingFields, settings.mode + " is not for listeners of a Sidecar", "write SIMPLE or MUTUAL");
    const std::string protocol = parse_protocol(listener.port.protocol);
    if (protocol != "HTTPS" && protocol != "TLS")
      reader.error_below("tls", kConflictingFields, "takes a port of protocol HTTPS or TLS", "write port.protocol: HTTPS");
  }
};

template <>
struct Shape<IstioEgressListener> : Table<IstioEgressListener> {
  using T = IstioEgressListener;
  static constexpr Field<T> kFields[] = {{"port", at<&T::port>},
                                         {"bind", at<&T::bind>},
                                         {"captureMode", at<&T::capture_mode>},
                                         {"hosts", each<&T::hosts, egress_host>}};
  static void check(Reader& reader, const T& listener, const text::Node&) {
    if (listener.hosts.empty()) reader.error(kMissingField, "the listener names no hosts", "write hosts: [\"./*\"]");
    check_repeats(reader, listener);
    if (!listener.port) return;
    if (listener.port->number > kPortMax)
      reader.error_below("port.number", kBadValue, "the port " + std::to_string(listener.port->number) + " is not in range 1..65535");
    if (listener.port->number != 0) {
      if (!listener.bind.empty() && !is_ip_address(listener.bind))
        reader.error_below("bind", kBadValue, "\"" + listener.bind + "\" is no IP address", "write bind: 127.0.0.1, or port.number: 0 for a unix socket");
      return;
    }
    if (!is_unix_address(listener.bind))
      reader.error_below("port.number", kBadValue, "a port of 0 is for a unix socket", "write bind: unix:///PATH, or a port in range 1..65535");
    if (listener.capture_mode == CaptureMode::kIptables)
      reader.error_below("captureMode", kConflictingFields, "a unix socket is never captured", "write DEFAULT or NONE");
  }
  // Istio takes these and warns.
  static void check_repeats(Reader& reader, const T& listener) {
    std::map<std::string, std::set<std::string>> seen;
    for (const std::string& entry : listener.hosts) {
      const auto slash = entry.find('/');
      if (slash == std::string::npos || entry.starts_with('~')) continue;
      const std::string name = entry.substr(0, slash);
      const std::string host = entry.substr(slash + 1);
      std::set<std::string>& of_namespace = seen[name == "." ? reader.own_namespace() : name];
      const bool repeated = host == "*" ? !of_namespace.empty() : of_namespace.contains(host) || of_namespace.contains("*");
      if (repeated) reader.warn(kNoEffect, "hosts names " + entry + " beside an entry that covers it, or is covered by it", "take one of them out");
      of_namespace.insert(host);
    }
    if (const auto all = seen.find("*"); all != seen.end() && all->second.contains("*") && seen.size() > 1)
      reader.warn(kNoEffect, "\"*/*\" takes every service, so the other hosts say nothing", "take the others out");
  }
};

template <>
struct Shape<EgressProxy> : Table<EgressProxy> {
  using T = EgressProxy;
  static void host(Reader& reader, const text::Node& node, T& out) {
    if (read_value(reader, node, out.to.host)) full_host(reader, out.to.host);
  }
  static void subset(Reader& reader, const text::Node& node, T& out) {
    if (read_value(reader, node, out.to.subset)) subset_name(reader, out.to.subset);
  }
  static void port(Reader& reader, const text::Node& node, T& out) {
    PortSelector selector;
    if (read_value(reader, node, selector)) out.to.port = selector.number;
  }
  static constexpr Field<T> kFields[] = {{"host", host}, {"subset", subset}, {"port", port}};
  static void check(Reader& reader, const T&, const text::Node& node) {
    if (!has(node, "host")) reader.error(kMissingField, "the egress proxy has no host", "write host: NAME.NAMESPACE.svc.cluster.local");
    if (!has(node, "port")) reader.error(kMissingField, "the egress proxy has no port", "write port: {number: 80}");
  }
};

template <>
struct Shape<OutboundPolicy> : Table<OutboundPolicy> {
  using T = OutboundPolicy;
  static void egress_proxy(Reader& reader, const text::Node& node, T& out) {
    EgressProxy proxy;
    if (read_value(reader, node, proxy)) out.egress_proxy = std::move(proxy.to);
  }
  static constexpr Field<T> kFields[] = {{"mode", at<&T::mode>}, {"egressProxy", egress_proxy}};
  static void check(Reader& reader, const T& policy, const text::Node& node) {
    if (policy.mode == OutboundMode::kAllowAnyDynamicDns)
      reader.error_below("mode", kBadValue, "ALLOW_ANY_DYNAMIC_DNS is for mesh.yaml alone", "write ALLOW_ANY or REGISTRY_ONLY");
    else if (has(node, "egressProxy") && policy.mode != OutboundMode::kAllowAny)
      reader.error_below("egressProxy", kConflictingFields, "is for mode ALLOW_ANY", "write mode: ALLOW_ANY");
  }
};

template <>
struct Shape<Sidecar> : Table<Sidecar> {
  using T = Sidecar;
  static void selector(Reader& reader, const text::Node& node, T& out) {
    LabelSelector labels;
    out.has_workload_selector = true;
    if (read_value(reader, node, labels)) out.workload_selector = std::move(labels.labels);
  }
  static void inbound_pool(Reader& reader, const text::Node& node, T& out) {
    read_connection_pool(reader, node, out.inbound_connection_pool.emplace());
  }
  static void outbound_policy(Reader& reader, const text::Node& node, T& out) {
    OutboundPolicy policy;
    if (!read_value(reader, node, policy)) return;
    out.allow_any_outbound = policy.mode == OutboundMode::kAllowAny;
    out.egress_proxy = std::move(policy.egress_proxy);
  }
  static constexpr Field<T> kFields[] = {{"workloadSelector", selector},
                                         {"ingress", at<&T::ingress>},
                                         {"egress", at<&T::egress>},
                                         {"inboundConnectionPool", inbound_pool},
                                         {"outboundTrafficPolicy", outbound_policy}};
  static void check(Reader& reader, const T& sidecar, const text::Node& node) {
    if (sidecar.ingress.empty() && sidecar.egress.empty() && !has(node, "outboundTrafficPolicy") && !has(node, "inboundConnectionPool"))
      reader.error(kMissingField, "the Sidecar says nothing", "give it egress, ingress, inboundConnectionPool or outboundTrafficPolicy");
    check_ingress_ports(reader, sidecar);
    check_egress_ports(reader, sidecar);
  }
  static void check_ingress_ports(Reader& reader, const T& sidecar) {
    std::set<std::uint32_t> seen;
    for (std::size_t i = 0; i < sidecar.ingress.size(); ++i)
      if (!seen.insert(sidecar.ingress[i].port.number).second)
        reader.error_below("ingress[" + std::to_string(i) + "].port.number", kBadValue, "another listener has this port", "give each listener a port of its own");
  }
  static void check_egress_ports(Reader& reader, const T& sidecar) {
    std::set<std::uint32_t> seen;
    std::set<std::string_view> sockets;
    for (std::size_t i = 0; i < sidecar.egress.size(); ++i) {
      const IstioEgressListener& listener = sidecar.egress[i];
      const std::string path = "egress[" + std::to_string(i) + "]";
      if (!listener.port) {
        if (i + 1 < sidecar.egress.size())
          reader.error_below(path, kBadValue, "the listener without a port must be the last", "put it at the end of the list");
        continue;
      }
      const bool is_new = listener.port->number == 0 ? sockets.insert(listener.bind).second : seen.insert(listener.port->number).second;
      if (!is_new) reader.error_below(path, kBadValue, "another listener has this port or socket", "give each listener one of its own");
    }
  }
};

Sidecar read_sidecar(Reader& reader, const text::Node& spec) {
  Sidecar sidecar;
  read_value(reader, spec, sidecar);
  return sidecar;
}

}  // namespace lateen::model
