// Reading Gateway: the field tables and what istiod's validation says about them.
#include "model/gateway.h"

#include <algorithm>
#include <array>
#include <set>

#include "model/common_shapes.h"
#include "model/kinds.h"
#include "model/names.h"
#include "text/edit_distance.h"

namespace lateen::model {

namespace {

struct GatewayPort {
  std::uint32_t number = 0;
  std::string protocol, name;
};

template <std::size_t N>
void one_of(Reader& reader, const std::string& value, const std::array<std::string_view, N>& words) {
  if (std::find(words.begin(), words.end(), value) != words.end()) return;
  std::string list;
  for (std::string_view word : words) list += (list.empty() ? "" : ", ") + std::string(word);
  const auto guess = text::closest(value, words);
  reader.error(kBadValue, "\"" + value + "\" is not one of " + list, guess ? "did you mean " + std::string(*guess) + "?" : "");
}

void tls_mode(Reader& reader, const std::string& value) {
  constexpr std::array<std::string_view, 6> kModes = {"PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"};
  one_of(reader, value, kModes);
}

void tls_version(Reader& reader, const std::string& value) {
  constexpr std::array<std::string_view, 5> kVersions = {"TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"};
  one_of(reader, value, kVersions);
}

void gateway_protocol(Reader& reader, const std::string& value) {
  const std::string protocol = parse_protocol(value);
  if (!protocol.empty() && protocol != "UDP" && protocol != "HBONE") return;
  reader.error(kBadValue, "\"" + value + "\" is not a protocol of a gateway", "write HTTP, HTTP2, GRPC, GRPC-WEB, HTTPS, TLS, TCP, MONGO, REDIS or MYSQL");
}

// "host", "namespace/host", "./host", "*/host"; the host may be a wildcard.
void server_host(Reader& reader, const std::string& value) {
  const auto slash = value.find('/');
  const std::string host = slash == std::string::npos ? value : value.substr(slash + 1);
  if (slash != std::string::npos) {
    const std::string space = value.substr(0, slash);
    if (space != "*" && space != "." && !is_dns_label(space)) {
      reader.error(kBadValue, "\"" + space + "\" is no namespace", "write NAMESPACE/HOST, ./HOST or */HOST");
      return;
    }
  }
  if (is_ip_address(host)) return;
  if (const std::string problem = wildcard_host_problem(host); !problem.empty())
    reader.error(kBadValue, "the host \"" + host + "\" " + problem, "write a name such as bookinfo.example.com, or \"*\"");
}

void bind_address(Reader& reader, const std::string& value) {
  if (!value.empty() && !is_ip_address(value) && !is_unix_address(value))
    reader.error(kBadValue, "\"" + value + "\" is neither an IP address nor unix:///path", "write bind: 127.0.0.1");
}

bool is_tls(std::string_view protocol) { return protocol == "HTTPS" || protocol == "TLS"; }
bool is_http(std::string_view protocol) { return protocol == "HTTP" || protocol == "HTTP2" || protocol == "GRPC" || protocol == "GRPC-WEB"; }

}  // namespace

template <>
struct Shape<GatewayPort> : Table<GatewayPort> {
  static void target_port(Reader& reader, const text::Node& node, GatewayPort&) {
    std::uint32_t value = 0;
    if (read_value(reader, node, value) && value != 0) reader.error(kUnsupportedField, "has no meaning for a Gateway", "take it out");
  }
  static constexpr Field<GatewayPort> kFields[] = {{"number", at<&GatewayPort::number>},
                                                   {"protocol", at<&GatewayPort::protocol, gateway_protocol>},
                                                   {"name", at<&GatewayPort::name, not_empty>},
                                                   {"targetPort", target_port}};
  static void check(Reader& reader, const GatewayPort&, const text::Node& node) {
    if (!has(node, "name")) reader.error(kMissingField, "the port has no name", "write name: http");
    if (!has(node, "protocol")) reader.error(kMissingField, "the port has no protocol", "write protocol: HTTP");
  }
};

template <>
struct Shape<ServerTls::CertificateFiles> : Table<ServerTls::CertificateFiles> {
  using T = ServerTls::CertificateFiles;
  static constexpr Field<T> kFields[] = {
      {"serverCertificate", at<&T::certificate>}, {"privateKey", at<&T::private_key>}, {"caCertificates", unsupported}};
};

template <>
struct Shape<ServerTls> : Table<ServerTls> {
  using T = ServerTls;
  static constexpr Field<T> kFields[] = {{"httpsRedirect", at<&T::https_redirect>},
                                         {"mode", at<&T::mode, tls_mode>},
                                         {"credentialName", at<&T::credential_name>},
                                         {"serverCertificate", at<&T::server_certificate>},
                                         {"privateKey", at<&T::private_key>},
                                         {"caCertificates", at<&T::ca_certificates>},
                                         {"minProtocolVersion", at<&T::min_protocol_version, tls_version>},
                                         {"maxProtocolVersion", at<&T::max_protocol_version, tls_version>},
                                         {"cipherSuites", at<&T::cipher_suites>},
                                         {"subjectAltNames", at<&T::subject_alt_names>},
                                         {"caCrl", at<&T::ca_crl>},
                                         {"credentialNames", at<&T::credential_names>},
                                         {"caCertCredentialName", at<&T::ca_cert_credential_name>},
                                         {"tlsCertificates", at<&T::certificates>},
                                         {"verifyCertificateSpki", at<&T::verify_certificate_spki>},
                                         {"verifyCertificateHash", at<&T::verify_certificate_hash>},
                                         {"insecureSkipVerify", at<&T::insecure_skip_verify>}};
  static void check(Reader& reader, const T& tls, const text::Node&) {
    check_ciphers(reader, tls);
    const bool named = !tls.credential_name.empty() || !tls.credential_names.empty();
    const bool files = !tls.server_certificate.empty() || !tls.private_key.empty() || !tls.ca_certificates.empty() || !tls.certificates.empty();
    if (tls.mode == "ISTIO_MUTUAL") {
      if (files || named) reader.error(kConflictingFields, "mode ISTIO_MUTUAL takes no certificates, keys or credentialName: the mesh has its own");
      return;
    }
    const bool one_file = !tls.server_certificate.empty() && !tls.private_key.empty();
    if (one_file + !tls.credential_name.empty() + !tls.credential_names.empty() + !tls.certificates.empty() > 1)
      reader.error(kConflictingFields, "takes one of credentialName, credentialNames, tlsCertificates, and serverCertificate with privateKey");
    const bool terminates = tls.mode == "SIMPLE" || tls.mode == "MUTUAL" || tls.mode == "OPTIONAL_MUTUAL";
    if (terminates && named) return;
    if (terminates) check_files(reader, tls);
    if (!tls.ca_crl.empty() && !tls.credential_name.empty())
      reader.error_below("caCrl", kConflictingFields, "goes with files only: with credentialName the list is in the Secret");
    if (!tls.ca_crl.empty() && tls.mode == "SIMPLE") reader.error_below("caCrl", kConflictingFields, "mode SIMPLE verifies no clients");
  }
  static void check_files(Reader& reader, const T& tls) {
    if (tls.mode != "SIMPLE" && tls.ca_certificates.empty()) reader.error(kMissingField, "mode " + tls.mode + " needs caCertificates for its clients");
    for (const T::CertificateFiles& files : tls.certificates)
      if (files.certificate.empty() || files.private_key.empty())
        reader.error_below("tlsCertificates", kMissingField, "each needs serverCertificate and privateKey");
    if (tls.certificates.empty() && (tls.server_certificate.empty() || tls.private_key.empty()))
      reader.error(kMissingField, "mode " + tls.mode + " needs serverCertificate and privateKey, or credentialName");
  }
  // What Istio does not know is left out of the list, and so told rather than refused.
  static void check_ciphers(Reader& reader, const T& tls) {
    for (std::size_t i = 0; i < tls.cipher_suites.size(); ++i)
      if (!is_cipher_suite(tls.cipher_suites[i]))
        reader.warn(kNoEffect, "the cipher suite " + tls.cipher_suites[i] + " is not known and is left out");
  }
};

template <>
struct Shape<GatewayServer> : Table<GatewayServer> {
  using T = GatewayServer;
  static void port(Reader& reader, const text::Node& node, T& out) {
    GatewayPort read;
    read_value(reader, node, read);
    out.port = read.number;
    out.protocol = parse_protocol(read.protocol);
    out.port_name = read.name;
  }
  // Istio has had no use for it for years.
  static void default_endpoint(Reader& reader, const text::Node& node, T&) {
    std::string ignored;
    if (read_value(reader, node, ignored)) reader.warn(kNoEffect, "has no effect, in Istio as here", "take it out");
  }
  static constexpr Field<T> kFields[] = {{"port", port},
                                         {"bind", at<&T::bind, bind_address>},
                                         {"hosts", each<&T::hosts, server_host>},
                                         {"tls", at<&T::tls>},
                                         {"defaultEndpoint", default_endpoint},
                                         {"name", at<&T::name>}};
  static void check(Reader& reader, const T& server, const text::Node& node) {
    if (server.hosts.empty()) reader.error(kMissingField, "the server names no hosts", "write hosts: [\"*\"]");
    if (!has(node, "port")) {
      reader.error(kMissingField, "the server has no port", "write port: {number: 80, name: http, protocol: HTTP}");
      return;
    }
    const bool unix_socket = is_unix_address(server.bind);
    if (unix_socket && server.port != 0) reader.error_below("port.number", kConflictingFields, "must be 0 for a unix socket");
    if (!unix_socket && (server.port < 1 || server.port > 65535))
      reader.error_below("port.number", kBadValue, "the port " + std::to_string(server.port) + " is not in range 1..65535");
    check_tls(reader, server);
  }
  static void check_tls(Reader& reader, const T& server) {
    if (server.protocol.empty()) return;
    if (is_tls(server.protocol) && !server.tls) reader.error(kMissingField, "protocol " + server.protocol + " needs tls settings");
    if (is_tls(server.protocol) || !server.tls) return;
    const bool passthrough = server.tls->mode.empty() || server.tls->mode == "PASSTHROUGH" || server.tls->mode == "AUTO_PASSTHROUGH";
    const bool files = !server.tls->server_certificate.empty() || !server.tls->private_key.empty() || !server.tls->ca_certificates.empty();
    if (!is_http(server.protocol) || !passthrough || files)
      reader.error_below("tls", kConflictingFields, "protocol " + server.protocol + " takes no tls settings but httpsRedirect", "write protocol: HTTPS");
  }
};

template <>
struct Shape<Gateway> : Table<Gateway> {
  static constexpr Field<Gateway> kFields[] = {{"selector", at<&Gateway::selector>}, {"servers", at<&Gateway::servers>}};
  static void check(Reader& reader, const Gateway& gateway, const text::Node&) {
    if (gateway.servers.empty()) reader.error(kMissingField, "the Gateway has no servers");
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < gateway.servers.size(); ++i) {
      const std::string& name = gateway.servers[i].port_name;
      if (!name.empty() && !names.insert(name).second)
        reader.error_below("servers[" + std::to_string(i) + "].port.name", kBadValue, "the port name " + name + " is used twice", "give each server's port a name of its own");
    }
  }
};

bool is_cipher_suite(std::string_view name) {
  static constexpr std::array<std::string_view, 15> kSuites = {
      "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
      "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA",
      "ECDHE-RSA-AES256-SHA", "AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA", "AES256-SHA", "DES-CBC3-SHA"};
  if (name.empty() || name == "ALL") return true;
  const char first = name.front();
  const bool word = (first >= '0' && first <= '9') || (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z');
  return !word || std::find(kSuites.begin(), kSuites.end(), name) != kSuites.end();
}

bool read_server_tls(Reader& reader, const text::Node& node, ServerTls& out) { return read_value(reader, node, out); }

Gateway read_gateway(Reader& reader, const text::Node& spec) {
  Gateway gateway;
  read_value(reader, spec, gateway);
  return gateway;
}

}  // namespace lateen::model
