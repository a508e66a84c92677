// SslContext: a TlsContext as OpenSSL has it. Internal to stream's TLS.
#pragma once

#include <list>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "stream/tls_openssl.h"

namespace lateen::stream {

// A certificate that is ready for use, and the names for which it is meant.
struct LoadedIdentity {
  X509Owner certificate;
  KeyOwner key;
  std::vector<X509Owner> chain;
  std::vector<std::string> names;   // DNS names; the common name where there are none
};

// Client sessions by peer. Bounded: the peer that was heard of least lately goes first.
class TlsSessions {
 public:
  explicit TlsSessions(std::uint32_t per_peer) : per_peer_(per_peer) {}
  // Null: none. TLS 1.3 sessions are given out once.
  SessionOwner take(const std::string& peer);
  void put(const std::string& peer, SessionOwner session);

 private:
  struct Peer {
    std::list<SessionOwner> sessions;           // the newest last
    std::list<std::string>::iterator place;
  };
  const std::uint32_t per_peer_;
  std::mutex lock_;                             // guards what follows
  std::map<std::string, Peer> peers_;
  std::list<std::string> order_;                // the peer that got a session last is last
  std::size_t count_ = 0;
};

class SslContext final : public TlsContext {
 public:
  SslContext(bool server, const TlsSettings& settings, std::uint32_t sessions_max)
      : is_server_(server), alpn_(settings.alpn), trust_(settings.trust), sessions_(sessions_max) {}

  Result<void> set_up(const TlsSettings& settings);
  Result<void> set_up_server(const TlsServerSettings& settings);
  void set_up_client(std::uint32_t sessions_max);

  SSL_CTX* get() const { return ctx_.get(); }
  bool is_server() const { return is_server_; }
  const std::optional<TlsTrust>& trust() const { return trust_; }
  bool verifies_chain() const { return trust_ && (!trust_->ca.empty() || trust_->system_roots); }
  TlsSessions& sessions() const { return sessions_; }

 private:
  Result<void> load_identity(const TlsIdentity& identity);
  Result<void> install_identities();
  Result<void> load_trust();
  Result<void> set_versions(const TlsSettings& settings);
  Result<void> set_ciphers(const TlsSettings& settings);
  static int choose_identity(SSL* ssl, void* context);
  static int choose_protocol(SSL* ssl, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                             unsigned in_size, void* context);

  const bool is_server_;
  const std::vector<std::string> alpn_;
  const std::optional<TlsTrust> trust_;
  std::string alpn_wire_;
  std::vector<LoadedIdentity> identities_;
  SslCtxOwner ctx_;
  mutable TlsSessions sessions_;
};

// A connection as OpenSSL's callbacks find it (SSL_set_app_data).
class TlsConnection {
 public:
  virtual ~TlsConnection() = default;
  virtual const SslContext& context() const = 0;
  virtual const std::string& verify_name() const = 0;
  virtual const std::string& session_key() const = 0;
  virtual void note_verify_failure(TlsOutcome outcome, std::string text) = 0;
};
TlsConnection& connection_of(const SSL* ssl);

// SSL_CTX_set_cert_verify_callback.
int verify_peer(X509_STORE_CTX* store, void*);

}  // namespace lateen::stream
