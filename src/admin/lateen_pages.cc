#include "admin/lateen_pages.h"

#include <algorithm>

#include "admin/json.h"
#include "analyze/analyze.h"

namespace lateen::admin {

namespace {

std::string apply_json(const ApplyOutcome& outcome) {
  std::string text;
  text::JsonWriter json(text);
  json.begin_object().key("objects").begin_array();
  for (const ObjectOutcome& object : outcome.objects) write(json, object);
  json.end_array().key("others").begin_array();
  for (const ObjectOutcome& object : outcome.others) write(json, object);
  json.end_array().key("diagnostics");
  write(json, outcome.diagnostics);
  json.key("ignored").begin_array();
  for (const model::Ignored& ignored : outcome.ignored)
    json.begin_object()
        .member("kind", ignored.kind)
        .member("name", ignored.name)
        .member("api_version", ignored.api_version)
        .member("at", to_string(ignored.origin))
        .end_object();
  json.end_array().member("failed", outcome.failed).end_object();
  return text + "\n";
}

void apply(const Request& request, Reply reply, Backend& backend) {
  ApplyRequest apply;
  apply.yaml = request.body;
  apply.file = request.parameter("file", "");
  apply.takeover = request.flag("takeover");
  apply.dry_run = request.flag("dry-run");
  backend.apply(std::move(apply), [reply](ApplyOutcome outcome) { reply(json_response(apply_json(outcome))); });
}

Result<model::Kind> kind_of(const std::string& text) {
  if (const auto kind = model::parse_kind(text)) return *kind;
  return fail(ErrorCode::kInvalidConfig, "there is no kind \"" + text + "\"");
}

Response objects(const Request& request, Backend& backend) {
  std::optional<model::Kind> kind;
  if (const auto text = request.parameter("kind")) {
    auto parsed = kind_of(*text);
    if (!parsed) return error_response(parsed.error());
    kind = *parsed;
  }
  const auto namespace_ = request.parameter("namespace");
  const auto name = request.parameter("name");
  const auto with_text = request.flag("text") ? WithText::kYes : WithText::kNo;
  const WallTime now = backend.facts().now;
  std::string text;
  text::JsonWriter json(text);
  json.begin_object().key("objects").begin_array();
  for (const ObjectPage& page : backend.objects()) {
    const model::Key key = page.object->key();
    if (kind && key.kind != *kind) continue;
    if (namespace_ && key.namespace_ != *namespace_) continue;
    if (name && key.name != *name) continue;
    write(json, page, now, with_text);
  }
  json.end_array().key("problems");
  write(json, backend.problems());
  json.end_object();
  return json_response(text + "\n");
}

// KIND/NAMESPACE/NAME behind the prefix.
Result<model::Key> key_from_path(std::string_view path) {
  const std::size_t first = path.find('/');
  const std::size_t second = first == std::string_view::npos ? first : path.find('/', first + 1);
  if (second == std::string_view::npos)
    return fail(ErrorCode::kInvalidConfig, "the path is to end with KIND/NAMESPACE/NAME");
  LATEEN_TRY(const model::Kind kind, kind_of(std::string(path.substr(0, first))));
  return model::Key{kind, std::string(path.substr(first + 1, second - first - 1)), std::string(path.substr(second + 1))};
}

constexpr std::string_view kObjectsBelow = "/lateen/objects/";

void remove(const Request& request, Reply reply, Backend& backend) {
  auto key = key_from_path(std::string_view(request.path).substr(kObjectsBelow.size()));
  if (!key) return reply(error_response(key.error()));
  std::map<model::Key, admit::Standing> before;
  for (const ObjectPage& page : backend.objects()) before.emplace(page.object->key(), page.status.standing);
  backend.remove(*std::move(key), [reply, before = std::move(before), &backend](Result<ObjectOutcome> outcome) {
    if (!outcome) return reply(error_response(outcome.error()));
    ApplyOutcome one;
    for (const ObjectPage& page : backend.objects())
      if (const auto old = before.find(page.object->key()); old != before.end() && old->second != page.status.standing)
        one.others.push_back({page.object->key(), "unchanged", {}, page.status});
    one.objects.push_back(*std::move(outcome));
    reply(json_response(apply_json(one)));
  });
}

std::string describe_state(const proxy::EndpointStatus& endpoint) {
  if (endpoint.ejected) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(endpoint.ejection_left).count();
    return "ejected, " + std::to_string(seconds) + " s left";
  }
  return endpoint.healthy ? "" : "unhealthy";
}

analyze::EndpointStates states_of(const Backend& backend, proxy::ViewId view) {
  analyze::EndpointStates states;
  for (const proxy::ClusterStatus& cluster : backend.proxy().clusters(view))
    for (const proxy::EndpointStatus& endpoint : cluster.endpoints)
      states[cluster.name].push_back({endpoint.address, endpoint.healthy && !endpoint.ejected, describe_state(endpoint)});
  return states;
}

Result<analyze::ExplainRequest> explain_request(const Request& request) {
  analyze::ExplainRequest wanted;
  wanted.method = request.parameter("method", "GET");
  wanted.url = request.parameter("url", "");
  if (wanted.url.empty()) return fail(ErrorCode::kInvalidConfig, "url is missing");
  for (const std::string& header : request.parameters("header")) {
    const std::size_t colon = header.find(':');
    if (colon == std::string::npos || colon == 0)
      return fail(ErrorCode::kInvalidConfig, "header \"" + header + "\" is not NAME:VALUE");
    const std::size_t value = header.find_first_not_of(' ', colon + 1);
    wanted.headers.emplace_back(header.substr(0, colon), value == std::string::npos ? "" : header.substr(value));
  }
  return wanted;
}

Response explain(const Request& request, Backend& backend) {
  const auto wanted = explain_request(request);
  if (!wanted) return error_response(wanted.error());
  const auto view = backend.view(request.parameter("as", ""));
  if (!view) return error_response(view.error());
  const ViewPage& page = **view;
  const analyze::Explanation explanation =
      analyze::explain(backend.mesh(), *page.translation, *page.snapshot, page.view, *wanted, states_of(backend, page.id));
  if (request.parameter("format", "text") == "json") return json_response(analyze::to_json(explanation));
  return text_response(analyze::to_text(explanation, request.flag("colour")));
}

Response analysis(Backend& backend) {
  std::string text;
  text::JsonWriter json(text);
  json.begin_object().key("diagnostics");
  std::vector<Diagnostic> all = backend.problems();
  const std::vector<Diagnostic> found = analyze::analyze(backend.mesh(), backend.compat());
  // Some findings are so grave that they are among the problems, too.
  std::erase_if(all, [&](const Diagnostic& problem) { return std::find(found.begin(), found.end(), problem) != found.end(); });
  all.insert(all.end(), found.begin(), found.end());
  write(json, all);
  json.end_object();
  return json_response(text + "\n");
}

Response views(Backend& backend) {
  std::string text;
  text::JsonWriter json(text);
  json.begin_object().key("views").begin_array();
  for (const ViewPage* page : backend.views()) {
    json.begin_object()
        .member("identity", page->identity)
        .member("kind", page->view.kind == translate::View::Kind::kRouter ? "gateway" : "workload")
        .member("name", page->view.name)
        .member("namespace", page->view.namespace_)
        .member("version", page->version)
        .member("updated", format_time(page->updated));
    json.key("labels").begin_object();
    for (const auto& [name, value] : page->view.labels) json.member(name, value);
    json.end_object().end_object();
  }
  json.end_array().end_object();
  return json_response(text + "\n");
}

// What Envoy's /clusters does not say: since when an endpoint is out, and when it comes back.
Response clusters(const Request& request, Backend& backend) {
  const auto view = backend.view(request.parameter("view", ""));
  if (!view) return error_response(view.error());
  std::string text;
  text::JsonWriter json(text);
  json.begin_object().member("view", (*view)->identity).member("compat", backend.facts().compat);
  json.key("clusters").begin_array();
  for (const proxy::ClusterStatus& cluster : backend.proxy().clusters((*view)->id)) {
    json.begin_object().member("name", cluster.name).key("endpoints").begin_array();
    for (const proxy::EndpointStatus& endpoint : cluster.endpoints) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(endpoint.ejection_left).count();
      json.begin_object()
          .member("address", endpoint.address)
          .member("healthy", endpoint.healthy)
          .member("ejected", endpoint.ejected)
          .member("ejection_left_ms", static_cast<std::int64_t>(left))
          .member("ejections", endpoint.ejections)
          .end_object();
    }
    json.end_array().key("counters").begin_object();
    for (const auto& [name, value] : cluster.counters) json.member(name, value);
    json.end_object().end_object();
  }
  json.end_array().end_object();
  return json_response(text + "\n");
}

}  // namespace

void add_lateen_pages(Router& router, Backend& backend) {
  Backend* mesh = &backend;
  router.add_change("POST", "/lateen/apply", "applies the manifest in the body",
                    [mesh](const Request& request, Reply reply) { apply(request, reply, *mesh); });
  router.add_page("/lateen/objects", "objects and their status (?kind=&namespace=&name=&text)",
                  [mesh](const Request& request, Reply reply) { reply(objects(request, *mesh)); });
  router.add_change_below("DELETE", std::string(kObjectsBelow), "deletes an applied object",
                          [mesh](const Request& request, Reply reply) { remove(request, reply, *mesh); });
  router.add_page("/lateen/explain", "why a request goes where it goes (?as=&method=&url=&header=)",
                  [mesh](const Request& request, Reply reply) { reply(explain(request, *mesh)); });
  router.add_page("/lateen/analyze", "findings about what serves",
                  [mesh](const Request&, Reply reply) { reply(analysis(*mesh)); });
  router.add_page("/lateen/clusters", "clusters of a view and their ejections (?view=)",
                  [mesh](const Request& request, Reply reply) { reply(clusters(request, *mesh)); });
  router.add_page("/lateen/views", "the views that are in use",
                  [mesh](const Request&, Reply reply) { reply(views(*mesh)); });
}

}  // namespace lateen::admin
