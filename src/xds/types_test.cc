#include "xds/types.h"

#include <envoy/config/listener/v3/listener_components.pb.h>
#include <google/protobuf/any.pb.h>
#include <gtest/gtest.h>

#include "xds/messages.h"

namespace lateen::xds {
namespace {

using Filter = envoy::config::listener::v3::Filter;

TEST(Types, KnowsWhatIsNotCompiledIn) {
  EXPECT_TRUE(is_known_type("type.googleapis.com/envoy.config.cluster.v3.Cluster"));
  for (const char* name : {"envoy.extensions.filters.http.lua.v3.Lua", "envoy.extensions.filters.http.wasm.v3.Wasm",
                           "envoy.extensions.filters.network.redis_proxy.v3.RedisProxy", "udpa.type.v1.TypedStruct",
                           "xds.type.v3.TypedStruct", "envoy.extensions.compression.gzip.compressor.v3.Gzip"})
    EXPECT_TRUE(is_known_type(std::string("type.googleapis.com/") + name)) << name;
  EXPECT_FALSE(is_known_type("type.googleapis.com/envoy.config.filter.http.lua.v2.Lua"));
  EXPECT_FALSE(is_known_type("nobody.knows.This"));
}

TEST(FromJson, ReadsAnysOfEveryType) {
  Filter filter;
  const std::string json =
      R"({"name":"a","typedConfig":{"@type":"type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo"}})";
  ASSERT_TRUE(from_json(json, filter, UnknownFields::kRefuse));
  EXPECT_NE(unpack(filter.typed_config()), nullptr);
  EXPECT_EQ(to_json(filter).value(),
            R"({"name":"a","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo"}})");
}

TEST(FromJson, SaysWhichFieldIsWrong) {
  struct {
    const char *json, *says;
  } const cases[] = {
      {R"({"nam":"a"})", "nam"},
      {R"({"name":"a","typed_config":{"@type":"type.googleapis.com/a.B"}})", "a.B"},
      {R"({"name":["a"]})", "name"},
      {R"({"name":"a","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.network.redis_proxy.v3.RedisProxy","settings":{"op_timeout":"soon"}}})",
       "settings.op_timeout"},
  };
  for (const auto& c : cases) {
    Filter filter;
    const auto read = from_json(c.json, filter, UnknownFields::kRefuse);
    ASSERT_FALSE(read) << c.json;
    EXPECT_NE(read.error().message.find(c.says), std::string::npos) << read.error().message;
  }
}

TEST(FromJson, CanPassOverUnknownFields) {
  Filter filter;
  ASSERT_TRUE(from_json(R"({"nam":"a","name":"b"})", filter, UnknownFields::kIgnore));
  EXPECT_EQ(filter.name(), "b");
}

TEST(Unpack, GivesNullForBytesOfAnotherType) {
  google::protobuf::Any any;
  any.set_type_url("type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua");
  any.set_value("\xff\xff");
  EXPECT_EQ(unpack(any), nullptr);
}

}  // namespace
}  // namespace lateen::xds
