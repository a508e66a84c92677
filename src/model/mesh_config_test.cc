#include <gtest/gtest.h>

#include "model/read.h"

namespace lateen::model {
namespace {

using std::chrono::seconds;

MeshConfig read(std::initializer_list<const char*> files) {
  MeshConfig config;
  for (const char* text : files) {
    const ReadMeshConfig done = read_mesh_config(text, "mesh.yaml", config);
    EXPECT_TRUE(done.problems.empty()) << text << (done.problems.empty() ? "" : to_string(done.problems[0]));
    config = done.config;
  }
  return config;
}

TEST(MeshConfig, DefaultsAreIstios) {
  const MeshConfig config = read({"{}"});
  EXPECT_EQ(config, MeshConfig{});
  EXPECT_TRUE(config.allow_any_outbound && config.inbound_passthrough && config.auto_mtls);
  EXPECT_EQ(config.locality_lb_setting.enabled, true);
  EXPECT_EQ(config.connect_timeout, seconds(10));
}

TEST(MeshConfig, ALaterFileWinsFieldByField) {
  const MeshConfig config = read({"connectTimeout: 3s\naccessLogFile: /dev/stdout\noutboundTrafficPolicy: {mode: ALLOW_ANY}\n"
                                  "defaultServiceExportTo: [a]\nlocalityLbSetting: {enabled: false}\n",
                                  "connectTimeout: 4s\noutboundTrafficPolicy: {}\ndefaultServiceExportTo: [b]\n"
                                  "localityLbSetting: {failover: [{from: x, to: z}]}\n"});
  EXPECT_EQ(config.connect_timeout, seconds(4));
  EXPECT_EQ(config.access_log_file, "/dev/stdout");
  EXPECT_FALSE(config.allow_any_outbound) << "REGISTRY_ONLY is the first of the enum";
  EXPECT_EQ(config.service_export_to, std::vector<std::string>{"b"});
  EXPECT_EQ(config.locality_lb_setting.enabled, std::nullopt) << "the setting is replaced as a whole";
  EXPECT_EQ(config.locality_lb_setting.failover.size(), 1u);
}

TEST(MeshConfig, DefaultConfigIsMerged) {
  const MeshConfig config = read({"defaultConfig: {gatewayTopology: {numTrustedProxies: 2}, proxyHeaders: {server: {value: a}}}",
                                  "defaultConfig: {proxyHeaders: {requestId: {disabled: true}}}"});
  ASSERT_TRUE(config.proxy.topology && config.proxy.headers);
  EXPECT_EQ(config.proxy.topology->num_trusted_proxies, 2u);
  EXPECT_TRUE(config.proxy.headers->request_id_disabled);
  EXPECT_EQ(config.proxy.headers->server_value, "");
}

TEST(MeshConfig, WhatIstiodRefusesIsRefusedWithItsPath) {
  struct {
    const char *text, *path;
  } const cases[] = {
      {"connectTimeout: 0s", "connectTimeout"},
      {"connectTimeout: 2h", "connectTimeout"},
      {"protocolDetectionTimeout: 0.0001s", "protocolDetectionTimeout"},
      {"proxyListenPort: 70000", "proxyListenPort"},
      {"noSuchField: 1", "noSuchField"},
      {"outboundTrafficPolicy: {mode: NOPE}", "outboundTrafficPolicy.mode"},
      {"pathNormalization: {normalization: NOPE}", "pathNormalization.normalization"},
      {"trustDomain: 'a b'", "trustDomain"},
      {"serviceSettings: [{hosts: ['a b']}]", "serviceSettings[0].hosts[0]"},
      {"meshMTLS: {ecdhCurves: [P-256]}", "meshMTLS.ecdhCurves"},
      {"defaultConfig: {connectionSettings: {http2InitialStreamWindowSize: 3}}", "defaultConfig.connectionSettings.http2InitialStreamWindowSize"},
      {"defaultConfig: {proxyHeaders: {nope: 1}}", "defaultConfig.proxyHeaders.nope"},
      {"h2UpgradePolicy: MAYBE", "h2UpgradePolicy"},
  };
  for (const auto& c : cases) {
    const ReadMeshConfig done = read_mesh_config(c.text, "mesh.yaml", MeshConfig{});
    ASSERT_FALSE(done.problems.empty()) << c.text;
    EXPECT_EQ(done.problems[0].severity, Severity::kError) << c.text;
    EXPECT_EQ(done.problems[0].origin.field_path, c.path);
    EXPECT_EQ(done.config, MeshConfig{}) << c.text;
  }
}

}  // namespace
}  // namespace lateen::model
