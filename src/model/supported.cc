#include "model/supported.h"

#include <iterator>
#include <string>
#include <utility>

#include "model/codes.h"
#include "model/names.h"
#include "model/protocol.h"

namespace lateen::model {

namespace {

class Unsupported {
 public:
  explicit Unsupported(const Object& object) : object_(object) {}

  void add(const std::string& field, std::string message, std::string fix = "take it out") {
    found_.push_back({std::string(kUnsupportedField), Severity::kError, object_.origin(field), std::move(message), std::move(fix)});
  }
  // `field` is not carried out.
  void field(const std::string& path) { add(path, "is not carried out yet"); }

  std::vector<Diagnostic> take() { return std::move(found_); }

 private:
  const Object& object_;
  std::vector<Diagnostic> found_;
};

std::string item(std::string_view list, std::size_t index) { return std::string(list) + "[" + std::to_string(index) + "]"; }

void check_policy(const TrafficPolicy& policy, const std::string& path, Unsupported& out) {
  if (policy.retry_budget && policy.retry_budget->budget_interval) out.field(path + "retryBudget.budgetInterval");
}

void check(const DestinationRule& rule, Unsupported& out) {
  if (rule.traffic_policy) check_policy(*rule.traffic_policy, "spec.trafficPolicy.", out);
  for (std::size_t i = 0; i < rule.subsets.size(); ++i)
    if (rule.subsets[i].traffic_policy) check_policy(*rule.subsets[i].traffic_policy, item("spec.subsets", i) + ".trafficPolicy.", out);
  if (rule.has_workload_selector) out.field("spec.workloadSelector");
}

void check(const Gateway& gateway, Unsupported& out) {
  for (std::size_t i = 0; i < gateway.servers.size(); ++i) {
    const GatewayServer& server = gateway.servers[i];
    const std::string path = item("spec.servers", i) + ".";
    if (is_unix_address(server.bind)) out.add(path + "bind", "unix sockets are not carried out yet", "write an IP address");
  }
}

void check(const ServiceEntry&, Unsupported&) {}
void check(const VirtualService& service, Unsupported& out) {
  for (std::size_t i = 0; i < service.http.size(); ++i)
    for (std::size_t j = 0; j < service.http[i].match.size(); ++j) {
      const std::string path = item("spec.http", i) + "." + item("match", j);
      const auto check_headers = [&](const std::string& field, const std::map<std::string, StringMatch>& headers) {
        for (const auto& [name, match] : headers)
          if (claims_in(name)) out.add(path + "." + field + "." + name, "matching on claims of a token is not carried out yet", "match on a header");
      };
      check_headers("headers", service.http[i].match[j].headers);
      check_headers("withoutHeaders", service.http[i].match[j].without_headers);
    }
}
void check(const WorkloadEntry&, Unsupported&) {}
void check(const Service&, Unsupported&) {}
void check(const EndpointSlice&, Unsupported&) {}
void check(const Pod&, Unsupported&) {}
void check(const Namespace&, Unsupported&) {}
// Nothing is captured on its way to a workload: what can be served are listeners that are opened by themselves, and whose
// traffic goes elsewhere than to where it came in.
void check(const IstioIngressListener& listener, const std::string& path, Unsupported& out) {
  if (listener.bind.empty() || is_unix_address(listener.bind))
    out.add(path + "bind", "nothing is captured here: the listener is opened at an IP address of its own", "write bind: 127.0.0.1, and let the workload listen elsewhere");
  if (listener.capture_mode == CaptureMode::kIptables) out.add(path + "captureMode", "nothing is captured here", "write NONE");
  if (listener.default_endpoint.empty() || is_unix_address(listener.default_endpoint))
    out.add(path + "defaultEndpoint", "is where the workload itself listens, by IP address", "write defaultEndpoint: 127.0.0.1:PORT");
  if (listener.tls) out.add(path + "tls", "has no effect: as in Istio it would need a PeerAuthentication with mode DISABLE", "take it out, and let a Gateway end TLS");
}

void check(const Sidecar& sidecar, Unsupported& out) {
  for (std::size_t i = 0; i < sidecar.ingress.size(); ++i) check(sidecar.ingress[i], item("spec.ingress", i) + ".", out);
  if (!sidecar.ingress.empty() && !sidecar.has_workload_selector)
    out.add("spec.ingress", "needs to know whose listeners it is about", "write workloadSelector: {labels: {...}} with labels of a WorkloadEntry or Pod");
  if (sidecar.inbound_connection_pool && sidecar.ingress.empty())
    out.add("spec.inboundConnectionPool", "has no effect here: workloads have no proxy on their side", "write the limits into connectionPool of a DestinationRule for the workload's service");
  for (std::size_t i = 0; i < sidecar.egress.size(); ++i) {
    const std::string path = item("spec.egress", i) + ".";
    if (!sidecar.egress[i].bind.empty()) out.add(path + "bind", "has no effect here: clients reach services by the services' own addresses");
    if (sidecar.egress[i].capture_mode == CaptureMode::kNone) out.add(path + "captureMode", "NONE has no effect here: there is nothing but capture");
  }
}
void check(const EnvoyFilter&, Unsupported&) {}
void check(const ProxyConfig&, Unsupported&) {}
void check(const WorkloadGroup&, Unsupported&) {}
void check(const Secret&, Unsupported&) {}

}  // namespace

std::vector<Diagnostic> unsupported(const Object& object) {
  Unsupported out(object);
  std::visit([&](const auto& spec) { check(spec, out); }, object.spec);
  return out.take();
}

ReadResult read_supported_manifests(std::string_view text, std::string_view file) {
  ReadResult result = read_manifests(text, file);
  std::vector<ObjectPtr> supported;
  for (ObjectPtr& object : result.objects) {
    std::vector<Diagnostic> problems = unsupported(*object);
    if (problems.empty()) {
      supported.push_back(std::move(object));
      continue;
    }
    result.unreadable.emplace(object->key(), problems.front());
    std::move(problems.begin(), problems.end(), std::back_inserter(result.problems));
  }
  result.objects = std::move(supported);
  return result;
}

}  // namespace lateen::model
