// ClientTls: what is known of a client that came over TLS, for requests, headers and logs.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "http/message.h"
#include "runtime/listener.h"
#include "stream/tls.h"

namespace lateen::proxy {

struct ClientTls {
  std::string version, cipher, server_name, session_id;
  bool peer_presented = false, peer_verified = false, resumed = false;
  // Empty where the client has shown no certificate.
  stream::TlsCertificateFacts peer, local;
};

// Of an established connection.
std::shared_ptr<const ClientTls> client_tls_of(const stream::TlsSocket& socket);

// As in URLs: letters, digits and "-._~" stay (RFC 3986, unreserved).
std::string percent_encoded(std::string_view text);

// x-forwarded-client-cert as the connection manager's settings want it. `tls`: null for plain text.
void set_forwarded_client_cert(http::HeaderMap& headers, const runtime::HttpConnectionSettings& settings, const ClientTls* tls);

}  // namespace lateen::proxy
