// Delegates: a root's rule hands its requests to the rules of another VirtualService. Unset fields inherit from the
// root; a delegate's rule whose match is not within the root's is left out (ISTIO_FACTS 3.7).
#include <algorithm>
#include <utility>

#include "translate/names.h"
#include "translate/virtual_services.h"

namespace lateen::translate {
namespace {

using model::HttpMatchRequest;
using model::HttpRoute;
using model::StringMatch;

bool is_within(const StringMatch& root, const StringMatch& leaf) {
  using Kind = StringMatch::Kind;
  // Nobody can say whether one expression is within another.
  if (root.kind == Kind::kRegex || leaf.kind == Kind::kRegex) return false;
  if (root.kind == Kind::kExact) return leaf.kind == Kind::kExact && leaf.value == root.value;
  if (root.kind == Kind::kPrefix)
    return (leaf.kind == Kind::kPrefix || leaf.kind == Kind::kExact) && leaf.value.starts_with(root.value);
  return false;
}

bool conflicts(const std::optional<StringMatch>& root, const std::optional<StringMatch>& leaf) {
  return root && leaf && !is_within(*root, *leaf);
}

bool conflicts(const std::map<std::string, StringMatch>& root, const std::map<std::string, StringMatch>& leaf) {
  return std::any_of(leaf.begin(), leaf.end(), [&](const auto& entry) {
    const auto it = root.find(entry.first);
    return it != root.end() && !is_within(it->second, entry.second);
  });
}

bool labels_conflict(const Labels& root, const Labels& leaf) {
  return std::any_of(leaf.begin(), leaf.end(), [&](const auto& entry) {
    const auto it = root.find(entry.first);
    return it != root.end() && it->second != entry.second;
  });
}

bool gateways_conflict(const std::vector<std::string>& root, const std::vector<std::string>& leaf) {
  if (root.empty() || leaf.empty()) return false;
  if (leaf.size() > root.size()) return true;
  return std::any_of(leaf.begin(), leaf.end(),
                     [&](const std::string& name) { return std::find(root.begin(), root.end(), name) == root.end(); });
}

bool conflicts(const HttpMatchRequest& root, const HttpMatchRequest& leaf) {
  return conflicts(root.uri, leaf.uri) || conflicts(root.scheme, leaf.scheme) || conflicts(root.method, leaf.method) ||
         conflicts(root.authority, leaf.authority) || conflicts(root.headers, leaf.headers) ||
         conflicts(root.without_headers, leaf.without_headers) || conflicts(root.query_params, leaf.query_params) ||
         root.ignore_uri_case != leaf.ignore_uri_case || (root.port != 0 && leaf.port != 0 && root.port != leaf.port) ||
         (!root.source_namespace.empty() && root.source_namespace != leaf.source_namespace) ||
         labels_conflict(root.source_labels, leaf.source_labels) || gateways_conflict(root.gateways, leaf.gateways);
}

// The names of root and leaf, joined; an empty one does not count.
std::string joined(const std::string& root, const std::string& leaf) {
  if (leaf.empty() || root.empty()) return leaf + root;
  return root + "-" + leaf;
}

HttpMatchRequest merged(const HttpMatchRequest& root, const HttpMatchRequest& leaf) {
  HttpMatchRequest out = leaf;
  out.name = joined(root.name, leaf.name);
  if (!out.uri) out.uri = root.uri;
  if (!out.scheme) out.scheme = root.scheme;
  if (!out.method) out.method = root.method;
  if (!out.authority) out.authority = root.authority;
  out.headers.insert(root.headers.begin(), root.headers.end());
  out.without_headers.insert(root.without_headers.begin(), root.without_headers.end());
  out.query_params.insert(root.query_params.begin(), root.query_params.end());
  out.source_labels.insert(root.source_labels.begin(), root.source_labels.end());
  if (out.port == 0) out.port = root.port;
  if (out.source_namespace.empty()) out.source_namespace = root.source_namespace;
  if (out.gateways.empty()) out.gateways = root.gateways;
  if (out.stat_prefix.empty()) out.stat_prefix = root.stat_prefix;
  return out;
}

// Every pair that fits. Nothing: some match of the leaf fits no match of the root.
std::optional<std::vector<HttpMatchRequest>> merged(const std::vector<HttpMatchRequest>& root,
                                                    const std::vector<HttpMatchRequest>& leaf) {
  if (root.empty()) return leaf;
  if (leaf.empty()) return root;
  std::vector<HttpMatchRequest> out;
  for (const HttpMatchRequest& inner : leaf) {
    const std::size_t before = out.size();
    for (const HttpMatchRequest& outer : root)
      if (!conflicts(outer, inner)) out.push_back(merged(outer, inner));
    if (out.size() == before) return std::nullopt;
  }
  return out;
}

std::optional<HttpRoute> merged(const HttpRoute& root, const HttpRoute& leaf) {
  auto match = merged(root.match, leaf.match);
  if (!match) return std::nullopt;
  HttpRoute out = leaf;
  out.match = std::move(*match);
  out.name = joined(root.name, leaf.name);
  if (!out.rewrite) out.rewrite = root.rewrite;
  if (!out.direct_response) out.direct_response = root.direct_response;
  if (!out.timeout) out.timeout = root.timeout;
  if (!out.retries) out.retries = root.retries;
  if (!out.fault) out.fault = root.fault;
  if (!out.mirror) out.mirror = root.mirror;
  if (!out.mirror_percentage) out.mirror_percentage = root.mirror_percentage;
  if (!out.mirror_percent) out.mirror_percent = root.mirror_percent;
  if (out.mirrors.empty()) out.mirrors = root.mirrors;
  if (!out.cors_policy) out.cors_policy = root.cors_policy;
  if (!out.headers) out.headers = root.headers;
  return out;
}

std::string item(const char* list, std::size_t index) { return std::string(list) + "[" + std::to_string(index) + "]"; }

// The root's own rules have their names resolved in the root's namespace, the delegate's in its own.
struct Hand {
  const model::Mesh& mesh;
  const model::Object& root;
  const std::string& host;  // for messages
  Notes notes;
};

void hand_over(const Hand& hand, const HttpRoute& rule, std::size_t index, std::vector<RuleSource>& out) {
  const Origin at = hand.root.origin(item("spec.http", index) + ".delegate");
  const std::string& root_namespace = hand.root.meta.namespace_;
  const std::string& wanted = rule.delegate->namespace_.empty() ? root_namespace : rule.delegate->namespace_;
  const auto it = hand.mesh.objects.find({model::Kind::kVirtualService, wanted, rule.delegate->name});
  const model::VirtualService* leaf = it == hand.mesh.objects.end() ? nullptr : std::get_if<model::VirtualService>(&it->second->spec);
  if (leaf == nullptr || !leaf->hosts.empty() || !exported(leaf->export_to, wanted, root_namespace)) {
    hand.notes.left_out.push_back({LeftOut::Why::kOther, at, {},
                                   "delegate " + wanted + "/" + rule.delegate->name +
                                       (leaf == nullptr ? " does not exist"
                                        : !leaf->hosts.empty() ? " has hosts of its own: it is not a delegate"
                                                               : " is not exported to namespace " + root_namespace),
                                   hand.host});
    return;
  }
  HttpRoute root = rule;
  root.delegate.reset();
  for (HttpMatchRequest& match : root.match)
    for (std::string& gateway : match.gateways) gateway = gateway_key(gateway, root_namespace);
  if (root.mirror) root.mirror->host = resolve_host(root.mirror->host, root_namespace, hand.mesh.config.cluster_domain);
  for (std::size_t i = 0; i < leaf->http.size(); ++i) {
    HttpRoute from = leaf->http[i];
    for (HttpMatchRequest& match : from.match)
      for (std::string& gateway : match.gateways) gateway = gateway_key(gateway, wanted);
    if (auto whole = merged(root, from)) {
      out.push_back({std::move(*whole), it->second.get(), item("spec.http", i)});
    } else {
      hand.notes.left_out.push_back({LeftOut::Why::kOther, it->second->origin(item("spec.http", i)), at,
                                     "its match is not within the match of the rule that delegates to it", hand.host});
    }
  }
}

}  // namespace

std::vector<RuleSource> with_delegates(const model::Mesh& mesh, const model::Object& root,
                                       const model::VirtualService& spec, Notes notes) {
  const std::string host =
      lower(resolve_host(spec.hosts.front(), root.meta.namespace_, mesh.config.cluster_domain));
  std::vector<RuleSource> out;
  for (std::size_t i = 0; i < spec.http.size(); ++i) {
    if (spec.http[i].delegate) hand_over({mesh, root, host, notes}, spec.http[i], i, out);
    else out.push_back({spec.http[i], &root, item("spec.http", i)});
  }
  return out;
}

}  // namespace lateen::translate
