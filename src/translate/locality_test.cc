#include "translate/locality.h"

#include <gtest/gtest.h>

#include <deque>

namespace lateen::translate {
namespace {

using model::LocalityLbSetting;

// The endpoints of three regions, and a client in region1/zone1.
struct World {
  std::deque<Endpoint> endpoints;
  std::vector<EndpointGroup> groups;
  ClientPlace place{"region1/zone1", {{"version", "v1"}}};

  void add(const std::string& locality, Labels labels = {}, std::uint32_t weight = 1) {
    Endpoint& endpoint = endpoints.emplace_back();
    endpoint.locality = locality;
    endpoint.weight = weight;
    endpoint.labels = std::make_shared<const Labels>(std::move(labels));
    groups.push_back({locality, {&endpoint}, weight, 0});
  }
  std::vector<std::uint32_t> priorities() const {
    std::vector<std::uint32_t> out;
    for (const EndpointGroup& group : groups) out.push_back(group.priority);
    return out;
  }
};

using Numbers = std::vector<std::uint32_t>;

TEST(Locality, NearerGoesFirstOnlyWhereFailureIsNoticed) {
  World world;
  for (const char* locality : {"region1/zone1", "region1/zone2", "region2/zone1", "region3/zone1"}) world.add(locality);
  LocalityLbSetting setting;
  apply_locality(world.groups, &setting, world.place, false);
  EXPECT_EQ(world.priorities(), (Numbers{0, 0, 0, 0}));
  apply_locality(world.groups, &setting, world.place, true);
  EXPECT_EQ(world.priorities(), (Numbers{0, 1, 2, 2}));
}

TEST(Locality, FailoverNamesTheRegionThatIsNext) {
  World world;
  for (const char* locality : {"region2/zone1", "region1/zone1", "region3/zone1"}) world.add(locality);
  LocalityLbSetting setting;
  setting.failover = {{"region1", "region3"}};
  apply_locality(world.groups, &setting, world.place, true);
  EXPECT_EQ(world.priorities(), (Numbers{2, 0, 1}));
}

TEST(Locality, LabelsSplitALocality) {
  World world;
  world.add("region1/zone1", {{"version", "v2"}});
  world.add("region2/zone1", {{"version", "v1"}}, 5);
  LocalityLbSetting setting;
  setting.failover_priority = {"version"};
  apply_locality(world.groups, &setting, world.place, true);
  ASSERT_EQ(world.groups.size(), 2u);
  EXPECT_EQ(world.priorities(), (Numbers{1, 0}));
  EXPECT_EQ(world.groups[1].weight, 5u);
}

TEST(Locality, SharesAreSplitByWeightAndOthersGetNothing) {
  World world;
  world.add("region1/zone1", {}, 1);
  world.add("region1/zone2", {}, 3);
  world.add("region2/zone1");
  world.add("region3/zone1");
  LocalityLbSetting setting;
  setting.distribute = {{"region9/*", {{"region3/*", 100}}}, {"region1/*", {{"region1/*", 80}, {"region2/*", 20}}}};
  apply_locality(world.groups, &setting, world.place, false);
  EXPECT_EQ(world.groups[0].weight, 20u);
  EXPECT_EQ(world.groups[1].weight, 60u);
  EXPECT_EQ(world.groups[2].weight, 20u);
  EXPECT_TRUE(world.groups[3].endpoints.empty());
}

TEST(Locality, ZonesOfTheOwnRegionStayTogether) {
  World world;
  for (const char* locality : {"region1/zone1", "region1/zone2", "region2/zone1"}) world.add(locality);
  model::ZoneAwareLbSetting setting;
  apply_locality(world.groups, &setting, world.place, false);
  EXPECT_EQ(world.priorities(), (Numbers{0, 0, 1}));
}

TEST(Locality, PlacesAreLabels) {
  World world;
  world.add("region1/zone1/sub");
  const Endpoint& endpoint = world.endpoints.front();
  EXPECT_TRUE(has_labels(endpoint, {{"topology.kubernetes.io/region", "region1"}, {"topology.istio.io/subzone", "sub"}}, "c"));
  EXPECT_TRUE(has_labels(endpoint, {{"topology.istio.io/cluster", "c"}}, "c"));
  EXPECT_FALSE(has_labels(endpoint, {{"topology.kubernetes.io/zone", "zone2"}}, "c"));
}

}  // namespace
}  // namespace lateen::translate
