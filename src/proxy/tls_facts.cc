#include "proxy/tls_facts.h"

#include <cctype>

namespace lateen::proxy {
namespace {

constexpr std::string_view kName = "x-forwarded-client-cert";

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"') out += '\\';
    out += c;
  }
  out += '"';
}

// One element: this hop's client.
std::string element_of(const runtime::HttpConnectionSettings& settings, const ClientTls& tls) {
  std::string out;
  const auto key = [&out](std::string_view name) {
    if (!out.empty()) out += ';';
    out += name;
    out += '=';
  };
  for (const std::string& uri : tls.local.uris) key("By"), out += uri;
  if (!tls.peer.sha256.empty()) key("Hash"), out += tls.peer.sha256;
  if (settings.client_cert_pem) {
    key("Cert");
    out += '"' + percent_encoded(tls.peer.pem) + '"';
  }
  if (settings.client_cert_subject) {
    key("Subject");
    append_quoted(out, tls.peer.subject);
  }
  if (settings.client_cert_uri) {
    if (tls.peer.uris.empty()) key("URI");   // the key is there even so
    for (const std::string& uri : tls.peer.uris) key("URI"), out += uri;
  }
  if (settings.client_cert_dns) {
    for (const std::string& name : tls.peer.dns_names) key("DNS"), out += name;
  }
  return out;
}

}  // namespace

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '-' || c == '.' || c == '_' || c == '~') {
      out += c;
      continue;
    }
    out += '%';
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
  return out;
}

std::shared_ptr<const ClientTls> client_tls_of(const stream::TlsSocket& socket) {
  auto facts = std::make_shared<ClientTls>();
  facts->version = socket.version();
  facts->cipher = socket.cipher();
  facts->server_name = socket.server_name();
  facts->session_id = socket.session_id();
  facts->resumed = socket.resumed();
  // Certificates are long to read out: only where somebody will ask.
  const stream::TlsCertificateFacts* peer = socket.peer_certificate();
  if (peer == nullptr) return facts;
  facts->peer_presented = true;
  facts->peer_verified = socket.peer_verified();
  facts->peer = *peer;
  if (const stream::TlsCertificateFacts* local = socket.local_certificate()) facts->local = *local;
  return facts;
}

void set_forwarded_client_cert(http::HeaderMap& headers, const runtime::HttpConnectionSettings& settings, const ClientTls* tls) {
  using Forward = runtime::ForwardClientCert;
  const Forward action = settings.forward_client_cert;
  if (action == Forward::kAlwaysForwardOnly) return;
  if (action == Forward::kSanitize || tls == nullptr || !tls->peer_presented) {
    headers.remove(kName);
    return;
  }
  if (action == Forward::kForwardOnly) return;
  std::string value;
  if (action == Forward::kAppendForward) {
    for (const http::Header& field : headers.fields()) {
      if (field.name != kName) continue;
      if (!value.empty()) value += ',';
      value += field.value;
    }
  }
  if (!value.empty()) value += ',';
  value += element_of(settings, *tls);
  headers.remove(kName);
  if (!value.empty()) headers.add(kName, value);
}

}  // namespace lateen::proxy
