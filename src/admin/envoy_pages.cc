#include "admin/envoy_pages.h"

#include "admin/envoy_dump.h"
#include "runtime/match.h"
#include "text/json_writer.h"

namespace lateen::admin {

namespace {

// Pages of one view take ?view=[NAMESPACE/]NAME; without it they show the default one.
constexpr std::string_view kViewParameter = "view";

Response of(Result<std::string> body) {
  if (!body) return error_response(body.error());
  return json_response(*std::move(body));
}

Response config_dump(const Request& request, Backend& backend) {
  auto view = backend.view(request.parameter(kViewParameter, ""));
  if (!view) return error_response(view.error());
  const auto endpoints = request.flag("include_eds") ? IncludeEndpoints::kYes : IncludeEndpoints::kNo;
  return of(config_dump_json(**view, backend.facts(), endpoints));
}

Response clusters(const Request& request, Backend& backend) {
  auto view = backend.view(request.parameter(kViewParameter, ""));
  if (!view) return error_response(view.error());
  const std::vector<proxy::ClusterStatus> states = backend.proxy().clusters((*view)->id);
  if (request.parameter("format", "text") == "json") return of(clusters_json(**view, states));
  return text_response(clusters_text(states));
}

Response listeners(const Request& request, Backend& backend) {
  if (request.parameter("format", "text") == "json") return of(listeners_json(backend.facts()));
  return text_response(listeners_text(backend.facts()));
}

// ?filter= is a regular expression that must be found in the name, ?usedonly leaves out what is zero.
class StatFilter {
 public:
  static Result<StatFilter> from(const Request& request) {
    StatFilter filter;
    filter.used_only_ = request.has("usedonly");
    if (const auto pattern = request.parameter("filter")) {
      LATEEN_TRY(runtime::Regex regex, runtime::Regex::compile(".*(?:" + *pattern + ").*"));
      filter.regex_ = std::move(regex);
    }
    return filter;
  }
  bool takes(const std::string& name, std::uint64_t value) const {
    if (used_only_ && value == 0) return false;
    return !regex_ || regex_->full_match(name);
  }

 private:
  bool used_only_ = false;
  std::optional<runtime::Regex> regex_;
};

Response stats(const Request& request, Backend& backend) {
  if (request.parameter("format", "text") == "prometheus")
    return {200, "text/plain; version=0.0.4; charset=utf-8", backend.proxy().prometheus()};
  const auto filter = StatFilter::from(request);
  if (!filter) return error_response(filter.error());
  std::string text;
  if (request.parameter("format", "text") == "json") {
    text::JsonWriter json(text);
    json.begin_object().key("stats").begin_array();
    for (const auto& [name, value] : backend.proxy().stats())
      if (filter->takes(name, value)) json.begin_object().member("name", name).member("value", value).end_object();
    json.end_array().end_object();
    return json_response(text);
  }
  for (const auto& [name, value] : backend.proxy().stats())
    if (filter->takes(name, value)) text += name + ": " + std::to_string(value) + "\n";
  return text_response(text);
}

Response ready(Backend& backend) {
  if (backend.facts().draining) return text_response("DRAINING\n", 503);
  return text_response("LIVE\n");
}

// Levels cannot be changed: there is one logger, and it only tells what a user has to know.
Response logging(const Request& request) {
  if (!request.query.empty()) return error_response(501, "the level of the log cannot be changed");
  return text_response("active loggers:\n  lateen: info\n");
}

Response help(const Router& router) {
  std::string text = "admin pages of this mesh; pages of a view take ?view=[NAMESPACE/]NAME\n";
  for (const Router::Help& line : router.help()) {
    std::string left = "  " + line.method + " " + line.path;
    if (left.size() < 36) left.resize(36, ' ');
    text += left + "  " + line.text + "\n";
  }
  return text_response(text);
}

}  // namespace

void add_envoy_pages(Router& router, Backend& backend) {
  const auto page = [&](std::string path, std::string text, auto make) {
    router.add_page(std::move(path), std::move(text), [make](const Request& request, Reply reply) { reply(make(request)); });
  };
  Backend* mesh = &backend;
  page("/config_dump", "the configuration of a view (?include_eds: with endpoints)",
       [mesh](const Request& request) { return config_dump(request, *mesh); });
  page("/clusters", "clusters and the state of their endpoints (?format=json)",
       [mesh](const Request& request) { return clusters(request, *mesh); });
  page("/listeners", "the sockets that this process listens on (?format=json)",
       [mesh](const Request& request) { return listeners(request, *mesh); });
  page("/ready", "LIVE, or 503 while draining", [mesh](const Request&) { return ready(*mesh); });
  page("/server_info", "version, uptime, options", [mesh](const Request&) { return of(server_info_json(mesh->facts())); });
  page("/stats", "counters (?filter=REGEX, ?usedonly, ?format=json|prometheus)",
       [mesh](const Request& request) { return stats(request, *mesh); });
  page("/stats/prometheus", "counters and Istio's standard metrics for Prometheus", [mesh](const Request&) {
    return Response{200, "text/plain; version=0.0.4; charset=utf-8", mesh->proxy().prometheus()};
  });
  router.add_change("POST", "/logging", "the loggers and their levels",
                    [](const Request& request, Reply reply) { reply(logging(request)); });
  Router* own = &router;
  page("/help", "this text", [own](const Request&) { return help(*own); });
  page("/", "the same", [own](const Request&) { return help(*own); });
}

}  // namespace lateen::admin
