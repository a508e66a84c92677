// TLS of listeners and clusters, and secrets: envoy.extensions.transport_sockets.tls.v3 as values. Nothing is read from
// files or parsed here; proxy/ makes contexts of them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "runtime/match.h"

namespace lateen::runtime {

// envoy.config.core.v3.DataSource: PEM text, or the file that holds it. Both empty: not given.
struct DataSource {
  std::string text, file;
  bool given() const { return !text.empty() || !file.empty(); }
  bool operator==(const DataSource&) const = default;
};

// TlsCertificate.
struct TlsCertificate {
  DataSource chain, private_key, password;
  bool operator==(const TlsCertificate&) const = default;
};

// SubjectAltNameMatcher.
struct SubjectAltName {
  enum class Kind : std::uint8_t { kAny, kDns, kUri, kEmail, kIp } kind = Kind::kAny;
  StringMatcher name;
};

// CertificateValidationContext. Without `trusted_ca` and `system_roots` nothing is verified.
struct TlsValidation {
  DataSource trusted_ca, crl;
  bool system_roots = false;
  bool accepts_untrusted = false;                  // trust_chain_verification ACCEPT_UNTRUSTED
  std::vector<SubjectAltName> names;               // one must match; empty: any
  std::vector<std::string> certificate_sha256, spki_sha256;   // hex, lower case; base64. One must match; empty: any
};

// Secret. What a context names may come later, and may change: it is looked up in Snapshot::secrets when a connection
// begins. While it is missing, connections are refused.
struct Secret {
  std::string name;
  std::variant<TlsCertificate, TlsValidation> value;
  std::uint64_t content_hash = 0;
};

enum class TlsVersion : std::uint8_t { kAuto, kTls10, kTls11, kTls12, kTls13 };

// CommonTlsContext.
struct CommonTls {
  std::vector<TlsCertificate> certificates;
  std::vector<std::string> certificate_secrets;    // names
  std::optional<TlsValidation> validation;         // with a secret too: both together, as combined_validation_context
  std::string validation_secret;                   // "" if none
  TlsVersion version_min = TlsVersion::kAuto, version_max = TlsVersion::kAuto;
  std::vector<std::string> cipher_suites, ecdh_curves;
  std::vector<std::string> alpn;                   // in order of preference
  std::uint64_t content_hash = 0;
};

struct DownstreamTls {
  CommonTls common;
  bool requires_client_certificate = false;
  bool session_tickets = true, session_cache = true;
};

struct UpstreamTls {
  CommonTls common;
  std::string sni;                                 // "": none, unless one of the next two gives it
  bool sni_from_host = false;                      // auto_host_sni: the endpoint's host name
  bool sni_from_request = false;                   // http protocol options auto_sni: the request's authority
  bool names_from_sni = false;                     // auto_san_validation: the certificate must be for the SNI
  std::uint32_t sessions_max = 1;                  // max_session_keys: kept for resumption; 0: none
};

}  // namespace lateen::runtime
