// Slow start (Istio's warm-up): a host that is new gets a growing share of its weight.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/time.h"
#include "runtime/snapshot.h"

namespace lateen::proxy {

// The factor of a host's weight after `age` in service, by Envoy's formula
// (envoy.config.cluster.v3.Cluster.SlowStartConfig): max(min_weight_percent, (age / window) ^ (1 / aggression)).
inline double slow_start_factor(const runtime::Cluster::SlowStart& settings, Duration age) {
  using std::chrono::milliseconds;
  const auto in_ms = [](Duration value) { return std::chrono::duration_cast<milliseconds>(value).count(); };
  if (in_ms(age) >= in_ms(settings.window)) return 1;
  const double part = static_cast<double>(std::max<milliseconds::rep>(1, in_ms(age))) / static_cast<double>(in_ms(settings.window));
  const bool linear = settings.aggression == 1 || !(settings.aggression > 0);
  return std::max(linear ? part : std::pow(part, 1 / settings.aggression), settings.weight_percent_min / 100);
}

}  // namespace lateen::proxy
