// Verification of the peer's certificate: chain, names, hashes, in Envoy's order and words.
#include <algorithm>
#include <openssl/x509v3.h>

#include "net/loop.h"
#include "stream/tls_context.h"

namespace lateen::stream {

namespace {

int kind_of(TlsName::Kind kind) {
  switch (kind) {
    case TlsName::Kind::kDns: return GEN_DNS;
    case TlsName::Kind::kUri: return GEN_URI;
    case TlsName::Kind::kEmail: return GEN_EMAIL;
    case TlsName::Kind::kIp: return GEN_IPADD;
    case TlsName::Kind::kAny: break;
  }
  return -1;
}

bool name_matches(const TlsName& wanted, int kind, const std::string& name) {
  if (wanted.exact.empty()) return wanted.matches && wanted.matches(name);
  return kind == GEN_DNS ? dns_name_covers(name, wanted.exact) : name == wanted.exact;
}

bool has_name(X509& certificate, const TlsName& wanted) {
  const int only = kind_of(wanted.kind);
  for (const int kind : {GEN_DNS, GEN_URI, GEN_EMAIL, GEN_IPADD}) {
    if (only >= 0 && kind != only) continue;
    const std::vector<std::string> names = alternative_names(certificate, kind);
    if (std::any_of(names.begin(), names.end(), [&](const std::string& name) { return name_matches(wanted, kind, name); })) {
      return true;
    }
  }
  return false;
}

bool contains(const std::vector<std::string>& list, const std::string& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

bool hash_matches(const TlsTrust& trust, const X509& certificate) {
  return contains(trust.certificate_sha256, certificate_sha256(certificate)) ||
         contains(trust.spki_sha256, spki_sha256(certificate));
}

std::string list_of_names(X509& certificate) {
  std::string all;
  for (const std::string& name : alternative_names(certificate, -1)) all += (all.empty() ? "" : ", ") + name;
  return "[" + all + "]";
}

// BoringSSL writes one word in two.
std::string reason_of(int error) {
  std::string reason = X509_verify_cert_error_string(error);
  const std::size_t at = reason.find("self-signed");
  if (at != std::string::npos) reason.replace(at, 11, "self signed");
  return reason;
}

// A certificate that is none of those wanted: the one of X.509's errors nearest to it that OpenSSL tells the peer as
// certificate_unknown ("some other issue", RFC 8446, section 6.2), as Envoy does.
constexpr int kNotWanted = X509_V_ERR_SUBJECT_ISSUER_MISMATCH;

int refuse(X509_STORE_CTX* store, TlsConnection& connection, TlsOutcome outcome, int error, std::string text) {
  X509_STORE_CTX_set_error(store, error);
  connection.note_verify_failure(outcome, std::move(text));
  return 0;
}

}  // namespace

int verify_peer(X509_STORE_CTX* store, void*) {
  const auto* ssl = static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  TlsConnection& connection = connection_of(ssl);
  const SslContext& context = connection.context();
  if (!context.trust()) {
    if (connection.verify_name().empty()) return 1;   // asked for, and not looked at
    // Anybody can write a name into a certificate that nobody vouches for.
    return refuse(store, connection, TlsOutcome::kVerifyError, kNotWanted, "verify cert failed: there is no trusted authority");
  }
  const TlsTrust& trust = *context.trust();
  if (context.verifies_chain() && X509_verify_cert(store) != 1 && !trust.accepts_untrusted) {
    const int error = X509_STORE_CTX_get_error(store);
    return refuse(store, connection, TlsOutcome::kVerifyError, error == X509_V_OK ? X509_V_ERR_UNSPECIFIED : error,
                  "verify cert failed: X509_verify_cert: certificate verification error at depth " +
                      std::to_string(X509_STORE_CTX_get_error_depth(store)) + ": " + reason_of(error));
  }
  X509* certificate = X509_STORE_CTX_get0_cert(store);
  if (certificate == nullptr) return refuse(store, connection, TlsOutcome::kNoCertificate, X509_V_ERR_UNSPECIFIED, "verify cert failed: no certificate");
  TlsName of_sni;
  of_sni.exact = connection.verify_name();
  of_sni.kind = net::parse_address(of_sni.exact.find(':') == std::string::npos ? of_sni.exact + ":0" : "[" + of_sni.exact + "]:0")
                    ? TlsName::Kind::kIp : TlsName::Kind::kDns;
  if (!of_sni.exact.empty() && !trust.accepts_untrusted && !has_name(*certificate, of_sni)) {
    return refuse(store, connection, TlsOutcome::kVerifyName, kNotWanted,
                  "verify cert failed: verify SAN list");
  }
  const bool names_fit = trust.names.empty() || std::any_of(trust.names.begin(), trust.names.end(), [&](const TlsName& name) {
                           return has_name(*certificate, name);
                         });
  if (!names_fit) {
    return refuse(store, connection, TlsOutcome::kVerifyName, kNotWanted,
                  "verify cert failed: SAN matcher, certificate SANs are " + list_of_names(*certificate));
  }
  const bool hashes_asked = !trust.certificate_sha256.empty() || !trust.spki_sha256.empty();
  if (hashes_asked && !hash_matches(trust, *certificate)) {
    return refuse(store, connection, TlsOutcome::kVerifyHash, kNotWanted, "verify cert failed: cert hash and spki");
  }
  X509_STORE_CTX_set_error(store, X509_V_OK);
  return 1;
}

}  // namespace lateen::stream
