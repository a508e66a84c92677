#include <gtest/gtest.h>

#include <sstream>

#include "analyze/analyze.h"
#include "analyze/tls_material.h"
#include "model/read.h"
#include "testing/certificates.h"

namespace lateen::analyze {
namespace {

using testing::make_certificate;
using testing::MadeCertificate;

std::string gateway(const std::string& tls) {
  return "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: gw}\nspec:\n  selector: {istio: ingressgateway}\n"
         "  servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: [a.example], tls: {" + tls + "}}]\n";
}

std::string rule(const std::string& tls) {
  return "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: dr}\nspec: {host: far.example, trafficPolicy: {tls: {" + tls + "}}}\n";
}

// Keys and their texts, in a Secret of istio-system.
std::string secret(const std::string& name, const std::vector<std::pair<std::string, std::string>>& values, const std::string& in = "istio-system") {
  std::string text = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: " + name + ", namespace: " + in + "}\nstringData:\n";
  for (const auto& [key, value] : values) {
    text += "  " + key + ": |\n";
    std::stringstream lines(value);
    for (std::string line; std::getline(lines, line);) text += "    " + line + "\n";
  }
  return text;
}

std::vector<std::string> found_in(const std::string& manifests) {
  model::Mesh mesh;
  const model::ReadResult read = model::read_manifests(manifests, "f.yaml");
  for (const Diagnostic& problem : read.problems) EXPECT_NE(problem.severity, Severity::kError) << to_string(problem);
  for (const model::ObjectPtr& object : read.objects) mesh.objects[object->key()] = object;
  std::vector<std::string> out;
  for (const Diagnostic& one : secret_problems(mesh, translate::Compat::kLateen)) out.push_back(to_string(one));
  return out;
}

constexpr const char* kAt = "f.yaml:6:101: error LTN0406: Gateway default/gw: spec.servers[0].tls.credentialName: Secret istio-system/c (f.yaml:10:12): ";
constexpr const char* kRefused = ", so TLS connections to a.example are refused; what was served before is served on\n    fix: ";

struct Case {
  std::vector<std::pair<std::string, std::string>> values;
  std::string what, fix;
};

TEST(FindSecrets, SaysWhatIsWrongWithASecret) {
  const MadeCertificate good = make_certificate({.common_name = "a.example"}), other = make_certificate({.common_name = "b.example"});
  const std::string paste = "paste the whole file behind tls.crt: |, indented, from -----BEGIN CERTIFICATE----- to its END line";
  const std::vector<Case> cases = {
      {{{"tls.crt", good.certificate}, {"tls.key", good.private_key}}, "", ""},
      {{{"cert", good.certificate}, {"key", good.private_key}}, "", ""},
      {{{"tls.crt", good.certificate}}, "it has no key tls.key", "write tls.key under its stringData"},
      {{{"tls.key", good.private_key}}, "it has no key tls.crt", "write tls.crt under its stringData"},
      {{{"tls.crt", "hello"}, {"tls.key", good.private_key}}, "tls.crt is not PEM: it has no line -----BEGIN CERTIFICATE-----", paste},
      {{{"tls.crt", good.certificate.substr(0, good.certificate.size() / 2)}, {"tls.key", good.private_key}}, "tls.crt cannot be read as a certificate", paste},
      {{{"tls.crt", good.certificate}, {"tls.key", "-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n"}},
       "tls.key cannot be read as a private key",
       "paste the whole file behind tls.key: |, indented, from -----BEGIN PRIVATE KEY----- to its END line"},
      {{{"tls.crt", good.certificate}, {"tls.key", other.private_key}},
       "tls.crt and tls.key do not belong together: the certificate is for another key",
       "take both from one order; the certificate of the workload itself comes first in the chain"},
  };
  for (const Case& one : cases) {
    const auto found = found_in(gateway("mode: SIMPLE, credentialName: c") + secret("c", one.values));
    if (one.what.empty()) EXPECT_TRUE(found.empty()) << found.front();
    else EXPECT_EQ(found, std::vector<std::string>{kAt + one.what + kRefused + one.fix});
  }
}

TEST(FindSecrets, NamesTheNamespaceThatIsMeant) {
  const MadeCertificate good = make_certificate({.common_name = "a.example"});
  const auto pair = {std::pair<std::string, std::string>{"tls.crt", good.certificate}, {"tls.key", good.private_key}};
  const std::string where = "Gateway default/gw: spec.servers[0].tls.credentialName: there is no Secret c in namespace istio-system, so TLS connections to a.example are refused\n    fix: ";
  EXPECT_EQ(found_in(gateway("mode: SIMPLE, credentialName: c") + secret("c", pair, "default")),
            std::vector<std::string>{"f.yaml:6:101: error LTN0405: " + where + "there is one in namespace default, but a gateway reads those of its own namespace alone: move it to istio-system"});
  EXPECT_EQ(found_in(gateway("mode: MUTUAL, credentialName: c") + secret("d", pair)),
            std::vector<std::string>{"f.yaml:6:101: error LTN0405: " + where + "write a Secret c with tls.crt and tls.key in namespace istio-system"}) << "once, not for the authorities too";
  EXPECT_TRUE(found_in(gateway("mode: SIMPLE, credentialName: c")).empty()) << "a file by itself: a warning";
}

TEST(FindSecrets, LooksForTheAuthoritiesOfClientsAndServers) {
  const MadeCertificate good = make_certificate({.common_name = "a.example"});
  const std::vector<std::pair<std::string, std::string>> pair = {{"tls.crt", good.certificate}, {"tls.key", good.private_key}};
  auto with_ca = pair;
  with_ca.emplace_back("ca.crt", good.certificate);
  EXPECT_EQ(found_in(gateway("mode: MUTUAL, credentialName: c") + secret("c", pair)),
            std::vector<std::string>{std::string(kAt) + "it has no key ca.crt" + kRefused + "write ca.crt under its stringData"});
  EXPECT_TRUE(found_in(gateway("mode: MUTUAL, credentialName: c") + secret("c", with_ca)).empty());
  EXPECT_TRUE(found_in(gateway("mode: MUTUAL, credentialName: c") + secret("c", pair) + secret("c-cacert", {{"ca.crt", good.certificate}})).empty());
  EXPECT_TRUE(found_in(gateway("mode: MUTUAL, credentialName: c, caCertCredentialName: roots") + secret("c", pair) + secret("roots", {{"ca.crt", good.certificate}})).empty());
  const auto rules = found_in(gateway("mode: SIMPLE, credentialName: c") + rule("mode: MUTUAL, credentialName: c") + secret("c", pair));
  ASSERT_EQ(rules.size(), 1U);
  EXPECT_NE(rules[0].find("DestinationRule default/dr: spec.trafficPolicy.tls.credentialName: Secret istio-system/c (f.yaml:15:12): it has no key ca.crt, so requests of gateways to far.example are answered 503"), std::string::npos) << rules[0];
  const auto elsewhere = found_in(gateway("mode: SIMPLE, credentialName: c") + rule("mode: SIMPLE, credentialName: 'configmap://default/roots'") + secret("c", pair));
  ASSERT_EQ(elsewhere.size(), 1U);
  EXPECT_NE(elsewhere[0].find("nothing here serves configmap://default/roots"), std::string::npos) << elsewhere[0];
}

TEST(TlsMaterial, ReadsAListOfWhatIsRevoked) {
  const MadeCertificate good = make_certificate({.common_name = "ca", .authority = true});
  EXPECT_FALSE(authorities_fault("ca.crt", good.certificate + good.certificate, ""));
  ASSERT_TRUE(authorities_fault("ca.crt", good.certificate, "nonsense"));
  EXPECT_EQ(authorities_fault("ca.crt", good.certificate, "nonsense")->what, "ca.crl is not PEM: it has no line -----BEGIN X509 CRL-----");
}

}  // namespace
}  // namespace lateen::analyze
