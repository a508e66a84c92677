#include "translate/secrets.h"

#include <envoy/extensions/transport_sockets/tls/v3/secret.pb.h>

#include <set>
#include <string>
#include <string_view>

#include "translate/secret_config.h"
#include "xds/messages.h"

namespace lateen::translate {
namespace {

using SecretMessage = envoy::extensions::transport_sockets::tls::v3::Secret;

constexpr std::string_view kScheme = "kubernetes://";

bool is_name_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '/';
}

// What a resource names. Looked for in its bytes: the names lie deep, inside of Anys.
void collect_names(std::string_view bytes, std::set<std::string, std::less<>>& names) {
  for (std::size_t at = bytes.find(kScheme); at != std::string_view::npos; at = bytes.find(kScheme, at + 1)) {
    std::size_t end = at + kScheme.size();
    while (end < bytes.size() && is_name_byte(bytes[end])) ++end;
    names.emplace(bytes.substr(at + kScheme.size(), end - at - kScheme.size()));
  }
}

// The value of the first of two keys that is there: istio's own, then Kubernetes'.
const std::string* value_of(const model::Secret& secret, const char* own, const char* kubernetes) {
  for (const char* name : {own, kubernetes}) {
    const auto found = secret.data.find(name);
    if (found != secret.data.end() && !found->second.empty()) return &found->second;
  }
  return nullptr;
}

bool fill_certificate(const Credential& from, SecretMessage& out) {
  if (from.certificate == nullptr || from.private_key == nullptr) return false;
  out.mutable_tls_certificate()->mutable_certificate_chain()->set_inline_bytes(*from.certificate);
  out.mutable_tls_certificate()->mutable_private_key()->set_inline_bytes(*from.private_key);
  return true;
}

bool fill_authorities(const Credential& from, SecretMessage& out) {
  if (from.authorities == nullptr) return false;
  out.mutable_validation_context()->mutable_trusted_ca()->set_inline_bytes(*from.authorities);
  if (from.revoked != nullptr) out.mutable_validation_context()->mutable_crl()->set_inline_bytes(*from.revoked);
  return true;
}

// Names that Gateways give to the authorities of their clients: nothing else tells them from those of certificates.
std::set<std::string, std::less<>> authority_names(const model::Mesh& mesh) {
  std::set<std::string, std::less<>> out;
  for (const auto& [object, gateway] : mesh.all<model::Gateway>(model::Kind::kGateway))
    for (const model::GatewayServer& server : gateway->servers)
      if (server.tls && !server.tls->ca_cert_credential_name.empty())
        out.insert(server.tls->ca_cert_credential_name);
  return out;
}

}  // namespace

Credential find_credential(const model::Mesh& mesh, const std::string& namespace_, std::string_view name) {
  // "NAMESPACE/NAME" is for the own namespace alone: nothing grants more.
  const std::string own = namespace_ + "/";
  if (name.starts_with(own)) name.remove_prefix(own.size());
  const auto found = mesh.objects.find({model::Kind::kSecret, namespace_, std::string(name)});
  const auto* secret = found == mesh.objects.end() ? nullptr : std::get_if<model::Secret>(&found->second->spec);
  if (secret == nullptr) return {};
  return {.object = found->second.get(),
          .certificate = value_of(*secret, "cert", "tls.crt"),
          .private_key = value_of(*secret, "key", "tls.key"),
          .authorities = value_of(*secret, "cacert", "ca.crt"),
          .revoked = value_of(*secret, "crl", "ca.crl")};
}

Credential find_authorities(const model::Mesh& mesh, const std::string& namespace_, std::string_view name) {
  const Credential own = find_credential(mesh, namespace_, std::string(name) + std::string(kAuthoritySuffix));
  return own.object != nullptr ? own : find_credential(mesh, namespace_, name);
}

void add_secrets(const Scope& scope, xds::Resources& out) {
  if (scope.mesh.all<model::Secret>(model::Kind::kSecret).empty()) return;
  std::set<std::string, std::less<>> names;
  for (const auto& [name, listener] : out.listeners) collect_names(listener->bytes, names);
  for (const auto& [name, cluster] : out.clusters) collect_names(cluster->bytes, names);
  const std::set<std::string, std::less<>> authorities = authority_names(scope.mesh);
  for (const std::string& name : names) {
    SecretMessage message;
    message.set_name(std::string(kScheme) + name);
    std::string_view base = name;
    bool filled = false;
    if (base.ends_with(kAuthoritySuffix)) {
      base.remove_suffix(kAuthoritySuffix.size());
      filled = fill_authorities(find_authorities(scope.mesh, scope.view.namespace_, base), message);
    } else {
      const Credential found = find_credential(scope.mesh, scope.view.namespace_, base);
      filled = authorities.contains(base) ? fill_authorities(found, message) : fill_certificate(found, message);
    }
    if (filled) out.secrets[message.name()] = xds::make_resource(message.name(), message);
  }
}

}  // namespace lateen::translate
