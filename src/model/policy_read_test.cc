// What istiod's validation says about Gateways' TLS, localities, tunnels and the like: one line each, read whole.
#include <gtest/gtest.h>

#include <string>

#include "model/read.h"

namespace lateen::model {
namespace {

std::string gateway(const std::string& tls) {
  return "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g}\nspec:\n  servers:\n"
         "  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: [a.example], tls: " + tls + "}\n";
}

std::string rule(const std::string& policy, const std::string& annotation = "") {
  return "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: d, annotations: {" + annotation +
         "}}\nspec: {host: a.example, trafficPolicy: " + policy + "}\n";
}

bool is_read(const std::string& manifest) {
  const ReadResult result = read_manifests(manifest, "f.yaml");
  return result.objects.size() == 1 && result.unreadable.empty();
}

TEST(ReadServerTls, TakesEveryModeWithItsCertificates) {
  for (const char* tls : {
           "{mode: SIMPLE, credentialName: c}", "{mode: SIMPLE, credentialNames: [rsa, ecdsa]}",
           "{mode: MUTUAL, credentialName: c, caCertCredentialName: ca}", "{mode: OPTIONAL_MUTUAL, credentialName: c}",
           "{mode: MUTUAL, serverCertificate: /c, privateKey: /k, caCertificates: /ca, caCrl: /crl}",
           "{mode: SIMPLE, tlsCertificates: [{serverCertificate: /a, privateKey: /b}]}", "{mode: ISTIO_MUTUAL}",
           "{mode: PASSTHROUGH}", "{mode: AUTO_PASSTHROUGH}", "{mode: SIMPLE, credentialName: c, cipherSuites: [NONSENSE]}"})
    EXPECT_TRUE(is_read(gateway(tls))) << tls;
}

TEST(ReadServerTls, RefusesWhatIstiodRefuses) {
  for (const char* tls : {
           "{mode: SIMPLE}", "{mode: MUTUAL, serverCertificate: /c, privateKey: /k}", "{mode: ISTIO_MUTUAL, credentialNames: [a]}",
           "{mode: SIMPLE, credentialName: c, credentialNames: [a]}", "{mode: SIMPLE, serverCertificate: /c, privateKey: /k, caCrl: /crl}",
           "{mode: SIMPLE, tlsCertificates: [{serverCertificate: /a}]}"})
    EXPECT_FALSE(is_read(gateway(tls))) << tls;
}

TEST(ReadTrafficPolicy, TakesTunnelsProxyProtocolAndLocalities) {
  for (const char* policy : {
           "{tunnel: {protocol: POST, targetHost: t.example, targetPort: 443}}", "{proxyProtocol: {version: V2}}", "{proxyProtocol: {}}",
           "{retryBudget: {percent: 5, budgetInterval: 10s}}", "{loadBalancer: {zoneAwareLbSetting: {minClusterSize: 3}}}",
           "{loadBalancer: {localityLbSetting: {failover: [{from: a, to: b}], failoverPriority: [app]}}}",
           "{loadBalancer: {localityLbSetting: {distribute: [{from: 'a/*', to: {'a/b/*': 80, '*': 20}}, {from: '*', to: {c: 100}}]}}}",
           "{tls: {mode: SIMPLE, caCertificates: /ca, caCrl: /crl}}", "{tls: {mode: SIMPLE, credentialName: 'configmap://default/x'}}"})
    EXPECT_TRUE(is_read(rule(policy))) << policy;
}

TEST(ReadTrafficPolicy, RefusesWhatIstiodRefuses) {
  for (const char* policy : {
           "{tunnel: {protocol: GET, targetHost: t.example, targetPort: 443}}", "{tunnel: {targetHost: t.example}}",
           "{tunnel: {targetHost: t.example, targetPort: 443}, proxyProtocol: {}}", "{proxyProtocol: {version: V3}}",
           "{loadBalancer: {localityLbSetting: {}, zoneAwareLbSetting: {}}}",
           "{loadBalancer: {localityLbSetting: {failover: [{from: a/b, to: c}]}}}",
           "{loadBalancer: {localityLbSetting: {failover: [{from: a, to: b}], failoverPriority: [topology.kubernetes.io/zone]}}}",
           "{loadBalancer: {localityLbSetting: {distribute: [{from: a, to: {'b/*': 50, b/c: 50}}]}}}",
           "{loadBalancer: {localityLbSetting: {distribute: [{from: a, to: {b: 90}}]}}}",
           "{loadBalancer: {zoneAwareLbSetting: {failoverPriority: [topology.kubernetes.io/region]}}}",
           "{tls: {mode: SIMPLE, insecureSkipVerify: true, caCertificates: /ca}}",
           "{tls: {mode: SIMPLE, credentialName: c, caCrl: /crl}}", "{tls: {mode: SIMPLE, credentialName: 'configmap://other/x'}}"})
    EXPECT_FALSE(is_read(rule(policy))) << policy;
}

TEST(ReadDestinationRuleAnnotation, KnowsOneLoadBalancer) {
  EXPECT_TRUE(is_read(rule("{tls: {mode: DISABLE}}", "lateen.dev/load-balancer: PEAK_EWMA")));
  EXPECT_FALSE(is_read(rule("{tls: {mode: DISABLE}}", "lateen.dev/load-balancer: FASTEST")));
}

}  // namespace
}  // namespace lateen::model
