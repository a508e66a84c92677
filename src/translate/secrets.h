// Secrets of TLS out of Secret manifests, under the names with which listeners and clusters ask for them.
#pragma once

#include <string>
#include <string_view>

#include "translate/scope.h"
#include "xds/resources.h"

namespace lateen::translate {

// What TLS can take from a Secret; null: it has no such key, or an empty one. Istio's own keys go before Kubernetes'
// ("cert" before "tls.crt", "key", "cacert", "crl").
struct Credential {
  const model::Object* object = nullptr;   // null: there is no such Secret
  const std::string* certificate = nullptr;
  const std::string* private_key = nullptr;
  const std::string* authorities = nullptr;
  const std::string* revoked = nullptr;
};

// By a name as listeners and clusters have it, without "kubernetes://", for a proxy in `namespace_`: only Secrets of its
// own namespace are its to read.
Credential find_credential(const model::Mesh& mesh, const std::string& namespace_, std::string_view name);
// The authorities that go with the certificate `name`: of the Secret "NAME-cacert", or else of the Secret itself.
Credential find_authorities(const model::Mesh& mesh, const std::string& namespace_, std::string_view name);

// Adds those that the listeners and clusters in `out` name: certificates ("kubernetes://NAME") and authorities
// ("kubernetes://NAME-cacert"), from the view's own namespace, as istiod serves them. One that is missing, or that lacks a
// key, is left out: analyze says so, and connections are refused until it comes, unless there was one before.
void add_secrets(const Scope& scope, xds::Resources& out);

}  // namespace lateen::translate
