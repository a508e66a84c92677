#include "model/sidecar.h"

#include <gtest/gtest.h>

#include <string>

#include "model/mesh.h"
#include "model/read.h"
#include "model/supported.h"

namespace lateen::model {
namespace {

ReadResult read(const std::string& spec) {
  return read_manifests("apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: s}\nspec:\n" + spec, "f.yaml");
}

TEST(ReadSidecar, ReadsEveryField) {
  const ReadResult result = read(R"(
  workloadSelector: {labels: {app: sleep}}
  ingress:
  - port: {number: 9443, protocol: HTTPS, name: https}
    bind: 10.1.2.3
    captureMode: NONE
    defaultEndpoint: "[::1]:8080"
    tls: {mode: SIMPLE, serverCertificate: /c.pem, privateKey: /k.pem}
    connectionPool: {tcp: {maxConnections: 3}}
  egress:
  - port: {number: 0, protocol: http_proxy}
    bind: unix:///run/x.sock
    hosts: ["./*"]
  - hosts: ["other/*.example.com", "~/a.b"]
    captureMode: IPTABLES
  inboundConnectionPool: {http: {http2MaxRequests: 7}}
  outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: p.other.svc.cluster.local, subset: v1, port: {number: 15000}}}
)");
  ASSERT_TRUE(result.problems.empty()) << to_string(result.problems.front());
  ASSERT_EQ(result.objects.size(), 1u);
  const auto& sidecar = std::get<Sidecar>(result.objects.front()->spec);
  EXPECT_TRUE(sidecar.has_workload_selector);
  EXPECT_EQ(sidecar.workload_selector.at("app"), "sleep");
  ASSERT_EQ(sidecar.ingress.size(), 1u);
  const IstioIngressListener& in = sidecar.ingress[0];
  EXPECT_EQ(in.port, (SidecarPort{9443, "HTTPS", "https"}));
  EXPECT_EQ(in.bind, "10.1.2.3");
  EXPECT_EQ(in.capture_mode, CaptureMode::kNone);
  EXPECT_EQ(in.default_endpoint, "[::1]:8080");
  EXPECT_EQ(in.tls->server_certificate, "/c.pem");
  EXPECT_EQ(in.connection_pool->tcp->max_connections, 3);
  ASSERT_EQ(sidecar.egress.size(), 2u);
  EXPECT_EQ(*sidecar.egress[0].port, (SidecarPort{0, "http_proxy", ""}));
  EXPECT_EQ(sidecar.egress[0].bind, "unix:///run/x.sock");
  EXPECT_FALSE(sidecar.egress[1].port);
  EXPECT_EQ(sidecar.egress[1].capture_mode, CaptureMode::kIptables);
  EXPECT_EQ(sidecar.egress[1].hosts, (std::vector<std::string>{"other/*.example.com", "~/a.b"}));
  EXPECT_EQ(sidecar.inbound_connection_pool->http->http2_max_requests, 7);
  EXPECT_EQ(sidecar.allow_any_outbound, true);
  EXPECT_EQ(*sidecar.egress_proxy, (Destination{"p.other.svc.cluster.local", "v1", 15000}));
}

TEST(ReadSidecar, AnOutboundPolicyWithoutAModeIsRegistryOnly) {
  const ReadResult result = read("  outboundTrafficPolicy: {}\n");
  ASSERT_EQ(result.objects.size(), 1u);
  EXPECT_EQ(std::get<Sidecar>(result.objects.front()->spec).allow_any_outbound, false);
}

TEST(ReadSidecar, RefusesWhatIstiodRefuses) {
  struct Bad {
    const char* spec;
    const char* path;
  };
  const Bad cases[] = {
      {"  workloadSelector: {labels: {app: x}}\n", "spec"},
      {"  egress: [{hosts: []}]\n", "spec.egress[0]"},
      {"  egress: [{hosts: [reviews]}]\n", "spec.egress[0].hosts[0]"},
      {"  egress: [{hosts: [./reviews]}]\n", "spec.egress[0].hosts[0]"},
      {"  egress: [{hosts: [\"./re*.com\"]}]\n", "spec.egress[0].hosts[0]"},
      {"  egress: [{hosts: [\"./*.x\"], hots: 1}]\n", "spec.egress[0].hots"},
      {"  egress: [{hosts: [./*]}, {hosts: [./*]}]\n", "spec.egress[0]"},
      {"  egress: [{port: {number: 80, protocol: HTTP}, hosts: [./*]}, {port: {number: 80, protocol: TCP}, hosts: [./*]}]\n", "spec.egress[1]"},
      {"  egress: [{port: {number: 80, protocol: HTTP}, bind: localhost, hosts: [./*]}]\n", "spec.egress[0].bind"},
      {"  egress: [{port: {number: 0, protocol: HTTP}, hosts: [./*]}]\n", "spec.egress[0].port.number"},
      {"  egress: [{port: {protocol: HTTP}, bind: unix:///x, captureMode: IPTABLES, hosts: [./*]}]\n", "spec.egress[0].captureMode"},
      {"  egress: [{port: {number: 80, protocol: SMTP}, hosts: [./*]}]\n", "spec.egress[0].port.protocol"},
      {"  ingress: [{defaultEndpoint: 127.0.0.1:80}]\n", "spec.ingress[0]"},
      {"  ingress: [{port: {number: 80, protocol: HTTP, targetPort: 8080}}]\n", "spec.ingress[0].port.targetPort"},
      {"  ingress: [{port: {number: 80, protocol: HTTP}, defaultEndpoint: 10.1.1.1:80}]\n", "spec.ingress[0].defaultEndpoint"},
      {"  ingress: [{port: {number: 80, protocol: HTTP}, defaultEndpoint: \"127.0.0.1:\"}]\n", "spec.ingress[0].defaultEndpoint"},
      {"  ingress: [{port: {number: 80, protocol: HTTP}, bind: unix:///x}]\n", "spec.ingress[0].bind"},
      {"  ingress: [{port: {number: 80, protocol: HTTP}, tls: {mode: SIMPLE, serverCertificate: /c, privateKey: /k}}]\n", "spec.ingress[0].tls"},
      {"  ingress: [{port: {number: 443, protocol: HTTPS}, tls: {mode: ISTIO_MUTUAL}}]\n", "spec.ingress[0].tls.mode"},
      {"  ingress: [{port: {number: 80, protocol: HTTP}}, {port: {number: 80, protocol: TCP}}]\n", "spec.ingress[1].port.number"},
      {"  inboundConnectionPool: {}\n", "spec.inboundConnectionPool"},
      {"  outboundTrafficPolicy: {mode: ALLOW_ANY_DYNAMIC_DNS}\n", "spec.outboundTrafficPolicy.mode"},
      {"  outboundTrafficPolicy: {egressProxy: {host: a.b, port: {number: 1}}}\n", "spec.outboundTrafficPolicy.egressProxy"},
      {"  outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: a.b}}\n", "spec.outboundTrafficPolicy.egressProxy"},
  };
  for (const Bad& bad : cases) {
    const ReadResult result = read(bad.spec);
    EXPECT_TRUE(result.objects.empty()) << bad.spec;
    ASSERT_FALSE(result.problems.empty()) << bad.spec;
    EXPECT_EQ(result.problems.front().origin.field_path, bad.path) << bad.spec << to_string(result.problems.front());
  }
}

TEST(ReadSidecar, WarnsOfHostsThatCoverEachOther) {
  const ReadResult result = read("  egress: [{hosts: [\"./a.b\", \"default/*\", \"*/*\"]}]\n");
  ASSERT_EQ(result.objects.size(), 1u);
  EXPECT_EQ(result.problems.size(), 2u);
}

// What is captured elsewhere is opened at an address of its own here, or refused.
TEST(SupportedSidecar, TakesListenersThatCanBeOpenedByThemselves) {
  const std::string good = "port: {number: 80, protocol: HTTP}, bind: 127.0.0.1, defaultEndpoint: 127.0.0.1:8080";
  struct Case {
    std::string spec;
    std::vector<std::string> refused;
  };
  const std::string selector = "  workloadSelector: {labels: {app: a}}\n";
  const Case cases[] = {
      {selector + "  ingress: [{" + good + "}]\n", {}},
      {selector + "  ingress: [{" + good + ", captureMode: NONE}]\n  inboundConnectionPool: {tcp: {maxConnections: 1}}\n", {}},
      {"  ingress: [{" + good + "}]\n", {"spec.ingress"}},
      {selector + "  ingress: [{" + good + ", captureMode: IPTABLES}]\n", {"spec.ingress[0].captureMode"}},
      {selector + "  ingress: [{port: {number: 80, protocol: HTTP}}]\n", {"spec.ingress[0].bind", "spec.ingress[0].defaultEndpoint"}},
      {selector + "  ingress: [{port: {number: 443, protocol: HTTPS}, bind: 127.0.0.1, defaultEndpoint: 127.0.0.1:8080, tls: {mode: SIMPLE, serverCertificate: /c, privateKey: /k}}]\n", {"spec.ingress[0].tls"}},
      {selector + "  inboundConnectionPool: {tcp: {maxConnections: 1}}\n", {"spec.inboundConnectionPool"}},
  };
  for (const Case& one : cases) {
    const ReadResult result = read(one.spec);
    ASSERT_EQ(result.objects.size(), 1u) << one.spec << (result.problems.empty() ? "" : to_string(result.problems.front()));
    std::vector<std::string> refused;
    for (const Diagnostic& problem : unsupported(*result.objects.front())) refused.push_back(problem.origin.field_path);
    EXPECT_EQ(refused, one.refused) << one.spec;
  }
}

}  // namespace
}  // namespace lateen::model
