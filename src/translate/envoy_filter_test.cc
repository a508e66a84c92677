// The rules of merging that no golden case shows on its own; the golden corpus has the rest.
#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/extensions/filters/http/router/v3/router.pb.h>
#include <google/protobuf/any.pb.h>
#include <gtest/gtest.h>

#include "model/read.h"
#include "translate/envoy_filter.h"
#include "translate/envoy_filter_merge.h"
#include "xds/messages.h"

namespace lateen::translate {
namespace {

using Cluster = envoy::config::cluster::v3::Cluster;

Cluster cluster(const std::string& json) {
  Cluster out;
  EXPECT_TRUE(xds::from_json(json, out, xds::UnknownFields::kRefuse));
  return out;
}

TEST(MergeMessage, FollowsIstiodsRules) {
  struct {
    const char *name, *into, *from, *merged;
    Lists lists;
  } const cases[] = {
      {"scalars win", R"({"name":"a","alt_stat_name":"x"})", R"({"name":"b"})", R"({"name":"b","alt_stat_name":"x"})", Lists::kAppend},
      {"durations are replaced", R"({"connect_timeout":"1.5s"})", R"({"connect_timeout":"2s"})", R"({"connect_timeout":"2s"})", Lists::kAppend},
      {"wrapped zeros are not seen", R"({"max_requests_per_connection":5})", R"({"max_requests_per_connection":0})",
       R"({"max_requests_per_connection":5})", Lists::kAppend},
      {"lists grow", R"({"circuit_breakers":{"thresholds":[{"max_connections":1}]}})", R"({"circuit_breakers":{"thresholds":[{"max_connections":2}]}})",
       R"({"circuit_breakers":{"thresholds":[{"max_connections":1},{"max_connections":2}]}})", Lists::kAppend},
      {"lists are replaced", R"({"circuit_breakers":{"thresholds":[{"max_connections":1}]}})", R"({"circuit_breakers":{"thresholds":[{"max_connections":2}]}})",
       R"({"circuit_breakers":{"thresholds":[{"max_connections":2}]}})", Lists::kReplace},
      {"of a choice the later is left", R"({"ring_hash_lb_config":{}})", R"({"maglev_lb_config":{}})", R"({"maglev_lb_config":{}})", Lists::kAppend},
      {"maps by key", R"({"typed_extension_protocol_options":{"a":{"@type":"type.googleapis.com/google.protobuf.StringValue","value":"x"}}})", "{}",
       R"({"typed_extension_protocol_options":{"a":{"@type":"type.googleapis.com/google.protobuf.StringValue","value":"x"}}})", Lists::kReplace},
  };
  for (const auto& c : cases) {
    Cluster merged = cluster(c.into);
    merge_message(merged, cluster(c.from), c.lists);
    EXPECT_EQ(merged.SerializeAsString(), cluster(c.merged).SerializeAsString()) << c.name;
  }
}

TEST(MergeAny, MergesWhatIsInside) {
  envoy::extensions::filters::http::router::v3::Router one, two;
  one.set_respect_expected_rq_timeout(true);
  two.set_suppress_envoy_headers(true);
  google::protobuf::Any into, from;
  xds::pack(one, into);
  xds::pack(two, from);
  ASSERT_EQ(merge_any(into, from), AnyMerge::kMerged);
  ASSERT_TRUE(into.UnpackTo(&one));
  EXPECT_TRUE(one.respect_expected_rq_timeout() && one.suppress_envoy_headers());
}

TEST(MergeAny, LeavesWhatItCannotMerge) {
  google::protobuf::Any into, from;
  xds::pack(envoy::extensions::filters::http::router::v3::Router(), into);
  xds::pack(Cluster(), from);
  EXPECT_EQ(merge_any(into, from), AnyMerge::kOtherType);
  from.set_type_url("type.googleapis.com/no.such.Type");
  EXPECT_EQ(merge_any(into, from), AnyMerge::kUnknown);
}

TEST(CheckEnvoyFilters, NamesTheFieldAndThePlace) {
  const model::ReadResult read = model::read_manifests(R"(apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: a}
spec:
  configPatches:
  - applyTo: CLUSTER
    patch:
      operation: MERGE
      value:
        upstream_connection_options:
          tcp_keepalive:
            keepalive_time: many
)", "a.yaml");
  ASSERT_EQ(read.objects.size(), 1u);
  model::Mesh mesh;
  mesh.objects.emplace(read.objects[0]->key(), read.objects[0]);
  const std::vector<Diagnostic> found = check_envoy_filters(mesh, Compat::kIstio);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].severity, Severity::kError);
  EXPECT_EQ(found[0].origin.line, 12) << to_string(found[0]);
  EXPECT_NE(found[0].message.find("keepalive_time"), std::string::npos) << found[0].message;
}

}  // namespace
}  // namespace lateen::translate
