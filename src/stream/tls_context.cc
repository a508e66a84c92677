#include "stream/tls_context.h"

#include <algorithm>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <set>

namespace lateen::stream {

namespace {

// Envoy's defaults.
constexpr const char* kDefaultCiphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
constexpr const char* kDefaultCurves = "X25519:P-256";

constexpr long kServerSessionsMax = 4096;       // of the stateful cache
constexpr long kCertificateBytesMax = 128 * 1024;
constexpr std::size_t kReadBufferBytes = 32 * 1024;
constexpr int kSecurityLevel = 2;               // no key or digest below 112 bits
constexpr int kSecurityLevelOfOldVersions = 0;  // TLS 1.0 and 1.1 sign with SHA-1

int version_number(TlsProtocolVersion version, int otherwise) {
  switch (version) {
    case TlsProtocolVersion::kAuto: return otherwise;
    case TlsProtocolVersion::kTls10: return TLS1_VERSION;
    case TlsProtocolVersion::kTls11: return TLS1_1_VERSION;
    case TlsProtocolVersion::kTls12: return TLS1_2_VERSION;
    case TlsProtocolVersion::kTls13: return TLS1_3_VERSION;
  }
  return otherwise;
}

std::vector<std::string> names_of(X509& certificate) {
  std::vector<std::string> names = alternative_names(certificate, GEN_DNS);
  if (!names.empty()) return names;
  X509_NAME* subject = X509_get_subject_name(&certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0) return names;
  const ASN1_STRING* text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
  names.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)), static_cast<std::size_t>(ASN1_STRING_length(text)));
  return names;
}

// BoringSSL writes groups of equal preference as "[A|B]"; OpenSSL knows only the order.
std::string without_groups(std::string ciphers) {
  std::erase_if(ciphers, [](char c) { return c == '[' || c == ']'; });
  std::replace(ciphers.begin(), ciphers.end(), '|', ':');
  return ciphers;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string all;
  for (const std::string& part : parts) all += (all.empty() ? "" : ":") + part;
  return all;
}

tl::unexpected<Error> invalid(const std::string& what) { return fail(ErrorCode::kInvalidConfig, what); }

int accept_server_name(SSL*, int*, void*) { return SSL_TLSEXT_ERR_OK; }

int keep_session(SSL* ssl, SSL_SESSION* session) {
  const TlsConnection& connection = connection_of(ssl);
  connection.context().sessions().put(connection.session_key(), SessionOwner(session));
  return 1;   // it is ours now
}

bool stack_chain(const std::vector<X509Owner>& chain, STACK_OF(X509)* into) {
  return std::all_of(chain.begin(), chain.end(), [&](const X509Owner& one) { return sk_X509_push(into, one.get()) > 0; });
}

using StackOwner = std::unique_ptr<STACK_OF(X509), decltype([](STACK_OF(X509)* stack) { sk_X509_free(stack); })>;

}  // namespace

TlsConnection& connection_of(const SSL* ssl) { return *static_cast<TlsConnection*>(SSL_get_app_data(ssl)); }

Result<void> SslContext::load_identity(const TlsIdentity& identity) {
  LATEEN_TRY(std::vector<X509Owner> certificates, read_certificates(identity.chain));
  LATEEN_TRY(KeyOwner key, read_private_key(identity.private_key, identity.password));
  LoadedIdentity loaded;
  loaded.certificate = std::move(certificates.front());
  loaded.key = std::move(key);
  loaded.chain.assign(std::make_move_iterator(certificates.begin() + 1), std::make_move_iterator(certificates.end()));
  if (X509_check_private_key(loaded.certificate.get(), loaded.key.get()) != 1) {
    ERR_clear_error();
    return invalid("the private key does not belong to the certificate");
  }
  loaded.names = names_of(*loaded.certificate);
  identities_.push_back(std::move(loaded));
  return {};
}

// One certificate of each kind of key can stand in the context itself; the library chooses by what the client can verify.
Result<void> SslContext::install_identities() {
  std::set<int> kinds;
  for (const LoadedIdentity& identity : identities_) {
    if (!kinds.insert(EVP_PKEY_get_base_id(identity.key.get())).second) continue;
    const StackOwner chain(sk_X509_new_null());
    if (!stack_chain(identity.chain, chain.get()) ||
        SSL_CTX_use_cert_and_key(ctx_.get(), identity.certificate.get(), identity.key.get(), chain.get(), 1) != 1) {
      return invalid("the certificate cannot be used: " + take_tls_error_reason());
    }
  }
  if (is_server_ && identities_.size() > 1) SSL_CTX_set_cert_cb(ctx_.get(), &SslContext::choose_identity, this);
  return {};
}

// The certificates that are meant for the SNI; where none is, those of the context stay.
int SslContext::choose_identity(SSL* ssl, void* context) {
  const auto& self = *static_cast<const SslContext*>(context);
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr) return 1;
  const auto fits = [&](const LoadedIdentity& identity, bool exact) {
    return std::any_of(identity.names.begin(), identity.names.end(), [&](const std::string& of) {
      return of.starts_with("*.") != exact && dns_name_covers(of, name);
    });
  };
  for (const bool exact : {true, false}) {
    std::set<int> kinds;
    for (const LoadedIdentity& identity : self.identities_) {
      if (!fits(identity, exact) || !kinds.insert(EVP_PKEY_get_base_id(identity.key.get())).second) continue;
      if (kinds.size() == 1) SSL_certs_clear(ssl);
      const StackOwner chain(sk_X509_new_null());
      if (!stack_chain(identity.chain, chain.get())) return 0;
      if (SSL_use_cert_and_key(ssl, identity.certificate.get(), identity.key.get(), chain.get(), 1) != 1) return 0;
    }
    if (!kinds.empty()) return 1;
  }
  return 1;
}

Result<void> SslContext::load_trust() {
  X509_STORE* store = SSL_CTX_get_cert_store(ctx_.get());
  // As in Envoy: an intermediate certificate may be the anchor.
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  if (trust_->system_roots && X509_STORE_set_default_paths(store) != 1) {
    return invalid("the system's root certificates cannot be read: " + take_tls_error_reason());
  }
  if (!trust_->ca.empty()) {
    Result<std::vector<X509Owner>> roots = read_certificates(trust_->ca);
    if (!roots) return invalid("CA certificates: " + roots.error().message);
    for (const X509Owner& root : *roots) {
      X509_STORE_add_cert(store, root.get());
      if (is_server_) SSL_CTX_add_client_CA(ctx_.get(), root.get());
    }
  }
  if (!trust_->crl.empty()) {
    const BioOwner reader(BIO_new_mem_buf(trust_->crl.data(), static_cast<int>(trust_->crl.size())));
    int count = 0;
    while (X509_CRL* list = PEM_read_bio_X509_CRL(reader.get(), nullptr, nullptr, nullptr)) {
      const CrlOwner owned(list);
      X509_STORE_add_crl(store, list);
      ++count;
    }
    if (count == 0) return invalid("the certificate revocation list cannot be read: " + take_tls_error_reason());
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  }
  ERR_clear_error();
  return {};
}

Result<void> SslContext::set_versions(const TlsSettings& settings) {
  const int lowest = version_number(settings.version_min, TLS1_2_VERSION);
  const int highest = version_number(settings.version_max, TLS1_3_VERSION);
  if (lowest > highest) return invalid("the lowest TLS version is above the highest");
  SSL_CTX_set_min_proto_version(ctx_.get(), lowest);
  SSL_CTX_set_max_proto_version(ctx_.get(), highest);
  SSL_CTX_set_security_level(ctx_.get(), lowest < TLS1_2_VERSION ? kSecurityLevelOfOldVersions : kSecurityLevel);
  return {};
}

Result<void> SslContext::set_ciphers(const TlsSettings& settings) {
  for (const std::string& suite : settings.cipher_suites) {
    if (SSL_CTX_set_cipher_list(ctx_.get(), without_groups(suite).c_str()) != 1) {
      ERR_clear_error();
      return invalid("cipher suite \"" + suite + "\" is not known");
    }
  }
  const std::string ciphers = settings.cipher_suites.empty() ? kDefaultCiphers : without_groups(joined(settings.cipher_suites));
  if (SSL_CTX_set_cipher_list(ctx_.get(), ciphers.c_str()) != 1) return invalid("cipher suites: " + take_tls_error_reason());
  const std::string curves = settings.curves.empty() ? kDefaultCurves : joined(settings.curves);
  if (SSL_CTX_set1_groups_list(ctx_.get(), curves.c_str()) != 1) {
    ERR_clear_error();
    return invalid("curves \"" + curves + "\" are not all known");
  }
  return {};
}

int SslContext::choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                                unsigned in_size, void* context) {
  const auto& self = *static_cast<const SslContext*>(context);
  unsigned char* chosen = nullptr;
  const int found = SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const unsigned char*>(self.alpn_wire_.data()),
                                          static_cast<unsigned>(self.alpn_wire_.size()), in, in_size);
  if (found != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_NOACK;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

Result<void> SslContext::set_up(const TlsSettings& settings) {
  ctx_.reset(SSL_CTX_new(is_server_ ? TLS_server_method() : TLS_client_method()));
  if (ctx_ == nullptr) return fail(ErrorCode::kSystem, "no TLS context: " + take_tls_error_reason());
  SSL_CTX_set_options(ctx_.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(ctx_.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(ctx_.get(), 1);
  SSL_CTX_set_default_read_buffer_len(ctx_.get(), kReadBufferBytes);
  SSL_CTX_set_max_cert_list(ctx_.get(), kCertificateBytesMax);
  LATEEN_TRY_VOID(set_versions(settings));
  LATEEN_TRY_VOID(set_ciphers(settings));
  for (const TlsIdentity& identity : settings.identities) LATEEN_TRY_VOID(load_identity(identity));
  LATEEN_TRY_VOID(install_identities());
  if (trust_) LATEEN_TRY_VOID(load_trust());
  for (const std::string& protocol : alpn_) {
    if (protocol.empty() || protocol.size() > 255) return invalid("an ALPN protocol has 1 to 255 bytes");
    alpn_wire_ += static_cast<char>(protocol.size());
    alpn_wire_ += protocol;
  }
  SSL_CTX_set_cert_verify_callback(ctx_.get(), &verify_peer, nullptr);
  return {};
}

Result<void> SslContext::set_up_server(const TlsServerSettings& settings) {
  if (identities_.empty()) return invalid("a TLS server needs a certificate");
  const bool hashes = trust_ && (!trust_->certificate_sha256.empty() || !trust_->spki_sha256.empty());
  int mode = SSL_VERIFY_NONE;
  if (verifies_chain() || hashes || settings.requires_client_certificate) mode = SSL_VERIFY_PEER;
  if (settings.requires_client_certificate) mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  SSL_CTX_set_verify(ctx_.get(), mode, nullptr);
  SSL_CTX_set_tlsext_servername_callback(ctx_.get(), &accept_server_name);
  if (!alpn_.empty()) SSL_CTX_set_alpn_select_cb(ctx_.get(), &SslContext::choose_protocol, this);
  // Tickets of this context are good for no other: each has keys of its own.
  unsigned char id[16];
  if (RAND_bytes(id, sizeof id) != 1) return fail(ErrorCode::kSystem, "no random bytes");
  SSL_CTX_set_session_id_context(ctx_.get(), id, sizeof id);
  SSL_CTX_set_session_cache_mode(ctx_.get(), settings.session_cache ? SSL_SESS_CACHE_SERVER : SSL_SESS_CACHE_OFF);
  SSL_CTX_sess_set_cache_size(ctx_.get(), kServerSessionsMax);
  if (!settings.session_tickets) SSL_CTX_set_options(ctx_.get(), SSL_OP_NO_TICKET);
  if (!settings.session_tickets && !settings.session_cache) SSL_CTX_set_num_tickets(ctx_.get(), 0);
  return {};
}

void SslContext::set_up_client(std::uint32_t sessions_max) {
  const bool hashes = trust_ && (!trust_->certificate_sha256.empty() || !trust_->spki_sha256.empty());
  SSL_CTX_set_verify(ctx_.get(), verifies_chain() || hashes ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (!alpn_wire_.empty()) {
    SSL_CTX_set_alpn_protos(ctx_.get(), reinterpret_cast<const unsigned char*>(alpn_wire_.data()),
                            static_cast<unsigned>(alpn_wire_.size()));
  }
  if (sessions_max == 0) {
    SSL_CTX_set_session_cache_mode(ctx_.get(), SSL_SESS_CACHE_OFF);
    return;
  }
  SSL_CTX_set_session_cache_mode(ctx_.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(ctx_.get(), &keep_session);
}

Result<std::shared_ptr<const TlsContext>> TlsContext::server(const TlsServerSettings& settings) {
  auto context = std::make_shared<SslContext>(true, settings.common, 0);
  LATEEN_TRY_VOID(context->set_up(settings.common));
  LATEEN_TRY_VOID(context->set_up_server(settings));
  return context;
}

Result<std::shared_ptr<const TlsContext>> TlsContext::client(const TlsClientSettings& settings) {
  auto context = std::make_shared<SslContext>(false, settings.common, settings.sessions_max);
  LATEEN_TRY_VOID(context->set_up(settings.common));
  context->set_up_client(settings.sessions_max);
  return context;
}

}  // namespace lateen::stream
