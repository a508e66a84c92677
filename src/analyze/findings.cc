#include "analyze/findings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <tuple>

#include "analyze/analyze.h"
#include "text/edit_distance.h"
#include "translate/envoy_filter.h"
#include "translate/names.h"

namespace lateen::analyze {

namespace {

translate::Options options_for(translate::Compat compat) {
  translate::Options options;
  options.compat = compat;
  return options;
}

}  // namespace

Findings::Findings(const model::Mesh& mesh, translate::Compat compat)
    : mesh_(mesh), compat_(compat), registry_(mesh, options_for(compat)) {
  for (const translate::Service& service : registry_.all()) {
    if (translate::is_wildcard(service.host)) wildcards_.push_back(&service);
    else hosts_.emplace(service.host, &service);
  }
  for (const auto& [object, rule] : mesh.all<model::DestinationRule>(model::Kind::kDestinationRule)) rules_.push_back({object, rule});
  std::stable_sort(rules_.begin(), rules_.end(), [](const Rule& a, const Rule& b) { return model::older(*a.object, *b.object); });
}

std::string Findings::full(std::string_view host, const model::Object& written_in) const {
  return translate::lower(translate::resolve_host(host, written_in.meta.namespace_, mesh_.config.cluster_domain));
}

const translate::Service* Findings::service(std::string_view host, const model::Object& written_in) const {
  const std::string name = full(host, written_in);
  if (const auto found = hosts_.find(name); found != hosts_.end()) return found->second;
  // A ServiceEntry may have a short host, which is its name in full.
  if (const auto found = hosts_.find(host); found != hosts_.end()) return found->second;
  for (const translate::Service* wildcard : wildcards_)
    if (translate::hosts_match(wildcard->host, name)) return wildcard;
  return nullptr;
}

std::string Findings::short_name(std::string_view full_host) const {
  const bool local = full_host.ends_with(".svc." + mesh_.config.cluster_domain);
  return std::string(local ? full_host.substr(0, full_host.find('.')) : full_host);
}

std::string Findings::host_fix(std::string_view host) const {
  const std::string_view first_label = host.substr(0, host.find('.'));
  std::vector<std::string> short_names;
  for (const auto& [name, service] : hosts_) short_names.push_back(short_name(name));
  const std::vector<std::string_view> candidates(short_names.begin(), short_names.end());
  if (const auto guess = text::closest(host.find('.') == std::string_view::npos ? host : first_label, candidates))
    return "did you mean " + std::string(*guess) + "? Or start it: `lateen echo --service " + std::string(first_label) + " --version v1`";
  return "write a Service or ServiceEntry for it, or start one: `lateen echo --service " + std::string(first_label) + " --version v1`";
}

std::vector<Findings::Rule> Findings::rules_for(std::string_view full_host) const {
  std::vector<Rule> found;
  for (const Rule& rule : rules_)
    if (translate::host_within(full_host, full(rule.rule->host, *rule.object))) found.push_back(rule);
  return found;
}

void Findings::add(Finding finding, const model::Object& object, const std::string& field, std::initializer_list<std::string> arguments) {
  add(finding, code_of(finding).level, object, field, arguments);
}

void Findings::add(Finding finding, Severity level, const model::Object& object, const std::string& field, std::initializer_list<std::string> arguments) {
  const Code& code = code_of(finding);
  found_.push_back({std::string(code.code), level, object.origin(field), fill_in(code.text, arguments), fill_in(code.fix, arguments)});
}

void Findings::add(Finding finding, std::initializer_list<std::string> arguments) {
  const Code& code = code_of(finding);
  found_.push_back({std::string(code.code), code.level, {}, fill_in(code.text, arguments), fill_in(code.fix, arguments)});
}

namespace {

void sort_by_place(std::vector<Diagnostic>& found) {
  const auto key = [](const Diagnostic& d) {
    return std::tuple(std::string_view(d.origin.file), d.origin.line, d.origin.column, std::string_view(d.code), std::string_view(d.origin.object));
  };
  std::stable_sort(found.begin(), found.end(), [&](const Diagnostic& a, const Diagnostic& b) { return key(a) < key(b); });
}

}  // namespace

std::vector<Diagnostic> Findings::take() {
  sort_by_place(found_);
  return std::move(found_);
}

std::size_t endpoint_count(const translate::Service& service, const translate::Labels* labels) {
  std::size_t most = 0;
  for (const auto& endpoints : service.endpoints)
    most = std::max(most, static_cast<std::size_t>(std::count_if(endpoints.begin(), endpoints.end(), [&](const translate::Endpoint& endpoint) {
                      return labels == nullptr || translate::selects(*labels, *endpoint.labels);
                    })));
  return most;
}

std::string count_text(std::size_t count, std::string_view noun) {
  return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

std::string item(std::string_view list, std::size_t index) { return std::string(list) + "[" + std::to_string(index) + "]"; }

std::string place_text(const model::Object& object, const std::string& field) {
  const Origin origin = object.origin(field);
  if (origin.line == 0) return field;
  const std::string place = to_string(origin);
  return field + " (" + (place.empty() ? "line " + std::to_string(origin.line) : place) + ")";
}

std::string object_text(const model::Object& object, const std::string& field) {
  const std::string place = to_string(object.origin(field));
  return model::to_string(object.key()) + (place.empty() ? "" : " (" + place + ")");
}

std::string number_text(double value) {
  const double rounded = static_cast<double>(static_cast<std::int64_t>(value * 100 + 0.5)) / 100;
  std::array<char, 32> buffer;
  return {buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), rounded).ptr};
}

std::string ports_text(const translate::Service& service) {
  std::string text;
  for (const translate::Port& port : service.ports) text += (text.empty() ? "" : ", ") + std::to_string(port.number);
  return text;
}

std::vector<Diagnostic> secret_problems(const model::Mesh& mesh, translate::Compat compat) {
  if (!asks_for_secrets(mesh)) return {};
  Findings findings(mesh, compat);
  find_secrets(findings);
  std::vector<Diagnostic> found = findings.take();
  std::erase_if(found, [](const Diagnostic& one) { return one.severity != Severity::kError; });
  return found;
}

std::vector<Diagnostic> analyze(const model::Mesh& mesh, translate::Compat compat) {
  Findings findings(mesh, compat);
  find_weights(findings);
  find_references(findings);
  find_unreachable(findings);
  find_owners(findings);
  find_match_slips(findings);
  find_timeouts(findings);
  find_faults(findings);
  find_ejections(findings);
  find_policies(findings);
  find_gateways(findings);
  find_entries(findings);
  find_secrets(findings);
  std::vector<Diagnostic> found = findings.take();
  std::vector<Diagnostic> patches = translate::check_envoy_filters(mesh, compat);
  if (patches.empty()) return found;
  found.insert(found.end(), std::make_move_iterator(patches.begin()), std::make_move_iterator(patches.end()));
  sort_by_place(found);
  return found;
}

}  // namespace lateen::analyze
