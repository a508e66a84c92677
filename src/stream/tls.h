// TLS 1.2 and 1.3 (OpenSSL) beneath everything else: a TlsSocket is a net::Socket over a net::Socket, so that HTTP/1,
// HTTP/2 and TCP proxying need not know of it. Contexts are made from values, once, and shared by all workers.
//
//   kWaiting (client: TCP is not up) --> kHandshake --done: on_connected--> kOpen --close_notify, error--> ended
//                                            \--- refused, timeout, too many bytes: on_socket_error, failure() says why
//
// Renegotiation is refused. A stream that ends without close_notify was cut: read() answers kError (ECONNRESET), never
// kEnd. What writev() has accepted is with the socket beneath.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/loop.h"

namespace lateen::stream {

// What a peer may send before the handshake is over; a chain of certificates is the largest part.
inline constexpr std::size_t kTlsHandshakeBytesMax = 256 * 1024;
// Of a server's handshake, where the caller sets none.
inline constexpr Duration kTlsHandshakeTimeout = std::chrono::seconds(15);
// Sessions that one client context keeps over all its peers.
inline constexpr std::size_t kTlsSessionsMax = 1024;

enum class TlsProtocolVersion : std::uint8_t { kAuto, kTls10, kTls11, kTls12, kTls13 };   // kAuto: 1.2 and 1.3

// A certificate with its chain and key, as PEM.
struct TlsIdentity {
  std::string chain, private_key, password;
};

// A subject alternative name that is good enough.
struct TlsName {
  enum class Kind : std::uint8_t { kAny, kDns, kUri, kEmail, kIp } kind = Kind::kAny;
  // Of an exact name: for DNS, a certificate's "*.a.example" is good for it too.
  std::string exact;
  std::function<bool(std::string_view)> matches;   // where `exact` is empty; called from any thread
};

// What the peer's certificate is held against. Without `ca` and `system_roots` its chain is not looked at.
struct TlsTrust {
  std::string ca, crl;                             // PEM
  bool system_roots = false;
  bool accepts_untrusted = false;                  // the chain may be bad; names and hashes still count
  std::vector<TlsName> names;                      // one must match; empty: any
  std::vector<std::string> certificate_sha256, spki_sha256;   // 32 raw bytes each. One must match; empty: any
};

struct TlsSettings {
  std::vector<TlsIdentity> identities;             // a server's: chosen by SNI and key type, else the first
  std::optional<TlsTrust> trust;
  TlsProtocolVersion version_min = TlsProtocolVersion::kAuto, version_max = TlsProtocolVersion::kAuto;
  std::vector<std::string> cipher_suites, curves;  // OpenSSL's names, in order; empty: the defaults (as Envoy's)
  std::vector<std::string> alpn;                   // in order of preference; a server goes on without a common one
};
struct TlsServerSettings {
  TlsSettings common;
  bool requires_client_certificate = false;        // without it: verified where one is sent, if there is `trust`
  bool session_tickets = true, session_cache = true;
};
struct TlsClientSettings {
  TlsSettings common;
  std::uint32_t sessions_max = 1;                  // kept for each peer and SNI; 0: no resumption
};

// Immutable but for its sessions, which are locked; used from any thread.
class TlsContext {
 public:
  // Errors: kInvalidConfig, saying which part is wrong ("private key does not belong to the certificate" ...).
  static Result<std::shared_ptr<const TlsContext>> server(const TlsServerSettings& settings);
  static Result<std::shared_ptr<const TlsContext>> client(const TlsClientSettings& settings);
  virtual ~TlsContext() = default;

 protected:
  TlsContext() = default;
};

// What the peer's certificate says. Empty where there is none.
struct TlsCertificateFacts {
  std::string subject, issuer;                     // RFC 2253: "CN=a,O=b"
  std::vector<std::string> dns_names, uris, emails, addresses;
  std::string sha256, serial;                      // hex, lower case
  std::string sha1;
  std::string pem, chain_pem;                      // the certificate alone; with what else the peer sent
  std::int64_t valid_from = 0, valid_until = 0;    // seconds since 1970
};

// How a handshake ended, in Envoy's ssl.* counters.
enum class TlsOutcome : std::uint8_t {
  kOpen,                   // it has not, or well
  kConnectionError,        // ssl.connection_error
  kNoCertificate,          // ssl.fail_verify_no_cert
  kVerifyError,            // ssl.fail_verify_error
  kVerifyName,             // ssl.fail_verify_san
  kVerifyHash,             // ssl.fail_verify_cert_hash
  kTimeout,
};

class TlsSocket : public net::Socket {
 public:
  virtual bool established() const = 0;
  virtual TlsOutcome outcome() const = 0;
  // Of a handshake or a connection that failed, in Envoy's words: "TLS_error:|268435581:SSL routines:..."; "" else.
  virtual std::string_view failure() const = 0;

  // Facts of an established connection.
  virtual std::string_view version() const = 0;        // "TLSv1.3"
  virtual std::string_view cipher() const = 0;         // "TLS_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"
  virtual std::string_view curve() const = 0;          // "X25519"; "" if unknown
  virtual std::string_view server_name() const = 0;    // SNI
  virtual bool resumed() const = 0;
  virtual std::string session_id() const = 0;          // hex; "" if there is none
  // Read out of the certificates at the first call, then kept.
  virtual const TlsCertificateFacts* peer_certificate() const = 0;    // null: the peer has shown none
  virtual const TlsCertificateFacts* local_certificate() const = 0;
  // Whether the peer's certificate was held against a CA.
  virtual bool peer_verified() const = 0;
};

// The server's side of `beneath`, which is connected. The handshake begins as bytes arrive; `timeout` zero: the default.
std::unique_ptr<TlsSocket> accept_tls(net::Loop& loop, std::unique_ptr<net::Socket> beneath,
                                      std::shared_ptr<const TlsContext> context, net::SocketEvents& events,
                                      Duration timeout = {});

struct TlsConnectOptions {
  std::string server_name;                         // SNI; "": none
  // The certificate must be for this name too (auto_san_validation); "": only what the context says.
  std::string verify_name;
  std::string session_key;                         // whose sessions may be resumed: the peer's address
};

// The client's side of `beneath`, which is connecting, or `connected`. Its events are taken over.
std::unique_ptr<TlsSocket> start_tls(net::Loop& loop, std::unique_ptr<net::Socket> beneath, bool connected,
                                     std::shared_ptr<const TlsContext> context, const TlsConnectOptions& options,
                                     net::SocketEvents& events);

// Whether a name of a certificate, which may begin with "*.", is good for `name` (RFC 6125; case does not count).
bool dns_name_covers(std::string_view certificate_name, std::string_view name);

}  // namespace lateen::stream
