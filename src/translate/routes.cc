#include "translate/routes.h"

#include <algorithm>

#include "translate/names.h"
#include "translate/shapes.h"

namespace lateen::translate {
namespace {

namespace route_v3 = envoy::config::route::v3;
using model::HttpMatchRequest;

std::string item(const char* list, std::size_t index) { return std::string(list) + "[" + std::to_string(index) + "]"; }

// A short text for a selector: "app=reviews,version=v1".
std::string selector_text(const Labels& labels) {
  std::string out;
  for (const auto& [key, value] : labels) {
    if (!out.empty()) out += ',';
    out += key + "=" + value;
  }
  return out;
}

struct Refusal {
  LeftOut::Why why;
  std::string field;   // below the match
  std::string text;
};

std::optional<Refusal> refused_source(const HttpMatchRequest& match, const View& view) {
  const std::string who = view.name.empty() ? "this client" : view.name;
  if (!selects(match.source_labels, view.labels))
    return Refusal{LeftOut::Why::kOtherSource, ".sourceLabels",
                   "sourceLabels " + selector_text(match.source_labels) + " does not select " + who};
  if (!match.source_namespace.empty() && match.source_namespace != view.namespace_)
    return Refusal{LeftOut::Why::kOtherSource, ".sourceNamespace",
                   "sourceNamespace " + match.source_namespace + " is not " + view.namespace_ + ", that of " + who};
  return std::nullopt;
}

// What is known before any request comes: the listener's port, the gateway, the client. A match that names gateways is
// not asked about the source (ISTIO_FACTS 2.1).
std::optional<Refusal> refused(const HttpMatchRequest& match, const Scope& scope, const RouteRequest& request) {
  if (match.port != 0 && match.port != request.port)
    return Refusal{LeftOut::Why::kOtherPort, ".port",
                   "port " + std::to_string(match.port) + " is not " + std::to_string(request.port)};
  if (match.gateways.empty()) return refused_source(match, scope.view);
  const bool known = std::any_of(match.gateways.begin(), match.gateways.end(), [&](const std::string& name) {
    return std::find(request.gateways.begin(), request.gateways.end(), name) != request.gateways.end();
  });
  if (known) return std::nullopt;
  return Refusal{LeftOut::Why::kOtherGateway, ".gateways", "its gateways are not asked here"};
}

// "reviews.default.svc.cluster.local:9080/api*": what traces call the route.
std::string operation(const route_v3::Route& route, const std::string& name, std::uint32_t port) {
  const route_v3::RouteMatch& match = route.match();
  std::string path = "/*";
  if (match.has_safe_regex()) path = match.safe_regex().regex();
  else if (!match.path().empty()) path = match.path();
  else if (!match.prefix().empty()) path = match.prefix() + "*";
  const auto parts = split(route.route().cluster(), '|');
  constexpr std::size_t kParts = 4;  // outbound|port|subset|host
  if (route.has_route() && parts.size() == kParts) return std::string(parts[3]) + ":" + std::string(parts[1]) + path;
  return name + ":" + std::to_string(port) + path;
}

// 504 at the route's timeout, the delay included: see the design's table of differences. Envoys ignore the key.
void count_delay_against_timeout(route_v3::Route& out, const model::HttpRoute& rule) {
  const bool delays = rule.fault && rule.fault->delay && rule.fault->delay->fixed_delay;
  if (!delays || !rule.timeout || *rule.timeout <= Duration{} || !out.has_route()) return;
  auto& lateen = (*out.mutable_metadata()->mutable_filter_metadata())["lateen"];
  (*lateen.mutable_fields())["delay_counts"].set_bool_value(true);
}

BuiltRoute build(const Scope& scope, const RouteRequest& request, const RuleSource& rule,
                 std::optional<std::size_t> match_index) {
  const HttpMatchRequest* match = match_index ? &rule.route.match[*match_index] : nullptr;
  BuiltRoute out;
  std::string name = rule.route.name;
  if (match != nullptr && !match->name.empty()) name += "." + match->name;
  out.route.set_name(name);
  fill_match(*out.route.mutable_match(), match);
  set_config(*out.route.mutable_metadata(), *request.source.object);
  if (match != nullptr) out.route.set_stat_prefix(match->stat_prefix);
  out.origins.emplace_back("", rule.origin(match_index ? "." + item("match", *match_index) : ""));
  fill_action(out, scope, rule, request);
  out.route.mutable_decorator()->set_operation(operation(out.route, request.source.object->meta.name, request.port));
  fill_filters(out.route, rule.route);
  if (scope.options.compat == Compat::kLateen) count_delay_against_timeout(out.route, rule.route);
  return out;
}

// Builds the routes of one VirtualService; says what became of every match.
class Builder {
 public:
  Builder(const Scope& scope, const RouteRequest& request, Notes notes, bool report)
      : scope_(scope), request_(request), notes_(notes), report_(report) {}

  std::vector<BuiltRoute> run() {
    for (const RuleSource& rule : request_.source.http) {
      if (catch_all_) {
        leave_out(rule, "", LeftOut::Why::kBehindCatchAll, "a rule before it takes every request");
      } else if (rule.route.match.empty()) {
        keep(build(scope_, request_, rule, std::nullopt), rule.origin());
        catch_all_ = rule.origin();  // also where the action could not be built
      } else {
        add_matches(rule);
      }
    }
    return std::move(out_);
  }

 private:
  void add_matches(const RuleSource& rule) {
    for (std::size_t i = 0; i < rule.route.match.size(); ++i) {
      const std::string path = "." + item("match", i);
      if (catch_all_) {
        leave_out(rule, path, LeftOut::Why::kBehindCatchAll, "a match before it takes every request");
        continue;
      }
      if (const auto refusal = refused(rule.route.match[i], scope_, request_)) {
        leave_out(rule, path + refusal->field, refusal->why, refusal->text);
        continue;
      }
      keep(build(scope_, request_, rule, i), rule.origin(path));
    }
  }

  void keep(BuiltRoute route, Origin at) {
    if (is_catch_all(route.route)) catch_all_ = std::move(at);
    out_.push_back(std::move(route));
  }

  void leave_out(const RuleSource& rule, const std::string& path, LeftOut::Why why, std::string text) {
    if (!report_) return;
    for (const std::string& host : request_.source.hosts)
      notes_.left_out.push_back({why, rule.origin(path), catch_all_.value_or(Origin{}), text, host, request_.port});
  }

  const Scope& scope_;
  const RouteRequest& request_;
  Notes notes_;
  const bool report_;
  std::vector<BuiltRoute> out_;
  std::optional<Origin> catch_all_;   // where the rule stands that no later one gets past
};

}  // namespace

std::vector<BuiltRoute> build_routes(const Scope& scope, const RouteRequest& request, Notes notes, bool report) {
  return Builder(scope, request, notes, report).run();
}

route_v3::Route default_route(const Scope& scope, const Service& service, const Port& port) {
  route_v3::Route out;
  out.set_name("default");
  out.mutable_match()->set_prefix("/");
  out.mutable_decorator()->set_operation(service.host + ":" + std::to_string(port.number) + "/*");
  auto& action = *out.mutable_route();
  action.set_cluster(outbound_cluster(port.number, "", service.host));
  set_timeout(action, Duration{});
  const auto& standard = scope.mesh.config.default_http_retry_policy;
  fill_retry(action, standard ? &*standard : nullptr, false);
  add_hash_policy(action, hash_of(scope, service, port.number));
  return out;
}

}  // namespace lateen::translate
