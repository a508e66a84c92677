#include "model/field_positions.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace lateen::model {
namespace {

TEST(FieldPositions, FindsWhatItWasMadeOf) {
  std::mt19937 random(3);
  PositionsByPath paths;
  EXPECT_FALSE(FieldPositions(paths).find(""));
  EXPECT_EQ(FieldPositions(paths).first_line(), 0);
  for (int i = 0; i < 500; ++i) paths.emplace("spec.http[" + std::to_string(random() % 1000) + "]", Position{i + 10, i});
  paths.emplace("", Position{9, 1});
  const FieldPositions positions(paths);
  for (const auto& [path, position] : paths) EXPECT_EQ(positions.find(path), position) << path;
  EXPECT_FALSE(positions.find("spec.http"));
  EXPECT_FALSE(positions.find("spec.http[1000]"));
  EXPECT_EQ(positions.first_line(), 9);
  EXPECT_EQ(positions, FieldPositions(paths));
  paths.erase("");
  EXPECT_FALSE(positions == FieldPositions(paths));
}

}  // namespace
}  // namespace lateen::model
