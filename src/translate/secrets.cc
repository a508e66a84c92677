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

const model::Secret* find_secret(const Scope& scope, std::string_view name) {
  // "NAMESPACE/NAME" is for the own namespace alone: nothing grants more.
  const std::string own = scope.view.namespace_ + "/";
  if (name.starts_with(own)) name.remove_prefix(own.size());
  const auto found = scope.mesh.objects.find({model::Kind::kSecret, scope.view.namespace_, std::string(name)});
  return found == scope.mesh.objects.end() ? nullptr : std::get_if<model::Secret>(&found->second->spec);
}

bool fill_certificate(const model::Secret& secret, SecretMessage& out) {
  const std::string* chain = value_of(secret, "cert", "tls.crt");
  const std::string* key = value_of(secret, "key", "tls.key");
  if (chain == nullptr || key == nullptr) return false;
  out.mutable_tls_certificate()->mutable_certificate_chain()->set_inline_bytes(*chain);
  out.mutable_tls_certificate()->mutable_private_key()->set_inline_bytes(*key);
  return true;
}

bool fill_authority(const model::Secret& secret, SecretMessage& out) {
  const std::string* roots = value_of(secret, "cacert", "ca.crt");
  if (roots == nullptr) return false;
  out.mutable_validation_context()->mutable_trusted_ca()->set_inline_bytes(*roots);
  if (const std::string* list = value_of(secret, "crl", "ca.crl")) out.mutable_validation_context()->mutable_crl()->set_inline_bytes(*list);
  return true;
}

}  // namespace

void add_secrets(const Scope& scope, xds::Resources& out) {
  if (scope.mesh.all<model::Secret>(model::Kind::kSecret).empty()) return;
  std::set<std::string, std::less<>> names;
  for (const auto& [name, listener] : out.listeners) collect_names(listener->bytes, names);
  for (const auto& [name, cluster] : out.clusters) collect_names(cluster->bytes, names);
  for (const std::string& name : names) {
    SecretMessage message;
    message.set_name(std::string(kScheme) + name);
    bool filled = false;
    if (std::string_view(name).ends_with(kAuthoritySuffix)) {
      // A Secret of its own, or else a part of the certificate's.
      const model::Secret* own = find_secret(scope, name);
      if (own == nullptr) own = find_secret(scope, std::string_view(name).substr(0, name.size() - std::string_view(kAuthoritySuffix).size()));
      filled = own != nullptr && fill_authority(*own, message);
    } else if (const model::Secret* secret = find_secret(scope, name)) {
      filled = fill_certificate(*secret, message);
    }
    if (filled) out.secrets[message.name()] = xds::make_resource(message.name(), message);
  }
}

}  // namespace lateen::translate
