// Weights: Istio takes shares of the sum, the tutorial says that they must sum to 100.
#include "analyze/findings.h"

namespace lateen::analyze {

namespace {

std::string destination_text(const model::Destination& destination) {
  return destination.subset.empty() ? destination.host : destination.subset;
}

template <class Destinations>
void check(Findings& findings, const model::Object& object, const std::string& path, const Destinations& route) {
  std::int64_t sum = 0;
  for (const auto& destination : route) sum += destination.weight;
  if (route.size() < 2 || sum == 100 || sum == 0) return;
  std::string shares;
  for (const auto& destination : route) {
    if (!shares.empty()) shares += ", ";
    shares += destination_text(destination.destination) + " " + std::to_string(destination.weight) + "/" + std::to_string(sum) + " = " +
              number_text(100.0 * static_cast<double>(destination.weight) / static_cast<double>(sum)) + " %";
  }
  findings.add(Finding::kWeightSum, object, path + ".route", {std::to_string(sum), shares});
}

}  // namespace

void find_weights(Findings& findings) {
  for (const auto& [object, service] : findings.all<model::VirtualService>(model::Kind::kVirtualService)) {
    for (std::size_t i = 0; i < service->http.size(); ++i) {
      const auto& route = service->http[i].route;
      const std::string path = item("spec.http", i);
      check(findings, *object, path, route);
      if (route.size() == 1 && route[0].weight_given && route[0].weight != 100)
        findings.add(Finding::kSingleWeight, *object, path + ".route[0].weight", {std::to_string(route[0].weight)});
    }
    for (std::size_t i = 0; i < service->tls.size(); ++i) check(findings, *object, item("spec.tls", i), service->tls[i].route);
    for (std::size_t i = 0; i < service->tcp.size(); ++i) check(findings, *object, item("spec.tcp", i), service->tcp[i].route);
  }
}

}  // namespace lateen::analyze
