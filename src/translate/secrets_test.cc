#include <gtest/gtest.h>

#include <envoy/extensions/transport_sockets/tls/v3/secret.pb.h>

#include <string>

#include "model/read.h"
#include "translate/translate.h"

namespace lateen::translate {
namespace {

constexpr const char* kGateway = R"(
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 443, name: a, protocol: HTTPS}, hosts: [a.example], tls: {mode: MUTUAL, credentialName: both}}
  - {port: {number: 443, name: b, protocol: HTTPS}, hosts: [b.example], tls: {mode: MUTUAL, credentialName: generic}}
  - {port: {number: 443, name: c, protocol: HTTPS}, hosts: [c.example], tls: {mode: SIMPLE, credentialName: keyless}}
)";

std::string secret(const std::string& name, const std::string& values, const std::string& in = "istio-system") {
  return "\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: " + name + ", namespace: " + in + "}\nstringData: {" + values + "}\n";
}

xds::ResourceMap secrets_of(const std::string& manifests, bool wanted = true) {
  model::Mesh mesh;
  model::ReadResult read = model::read_manifests(manifests, "f.yaml");
  EXPECT_TRUE(read.problems.empty()) << to_string(read.problems.front());
  for (model::ObjectPtr& object : read.objects) mesh.objects[object->key()] = std::move(object);
  View view;
  view.kind = View::Kind::kRouter;
  view.namespace_ = "istio-system";
  view.labels = {{"istio", "ingressgateway"}};
  Options options;
  options.secrets = wanted;
  return translate(mesh, view, options).resources.secrets;
}

TEST(Secrets, ThoseThatAreNamedAndWhole) {
  const std::string manifests = std::string(kGateway) + secret("both", "tls.crt: chain, tls.key: key, ca.crt: roots") +
                                secret("generic", "cert: chain2, key: key2") + secret("generic-cacert", "cacert: roots2, crl: list2") +
                                secret("keyless", "tls.crt: chain") + secret("unused", "tls.crt: chain, tls.key: key") +
                                secret("both", "tls.crt: wrong, tls.key: wrong", "default");
  const xds::ResourceMap secrets = secrets_of(manifests);
  std::map<std::string, std::string> seen;
  for (const auto& [name, resource] : secrets) {
    envoy::extensions::transport_sockets::tls::v3::Secret message;
    ASSERT_TRUE(message.ParseFromString(resource->bytes));
    EXPECT_EQ(message.name(), name);
    const auto& roots = message.validation_context();
    seen[name] = message.has_tls_certificate()
                     ? message.tls_certificate().certificate_chain().inline_bytes() + " " + message.tls_certificate().private_key().inline_bytes()
                     : roots.trusted_ca().inline_bytes() + "|" + roots.crl().inline_bytes();
  }
  EXPECT_EQ(seen, (std::map<std::string, std::string>{{"kubernetes://both", "chain key"},
                                                      {"kubernetes://both-cacert", "roots|"},
                                                      {"kubernetes://generic", "chain2 key2"},
                                                      {"kubernetes://generic-cacert", "roots2|list2"}}));
  EXPECT_TRUE(secrets_of(manifests, false).empty());
}

}  // namespace
}  // namespace lateen::translate
