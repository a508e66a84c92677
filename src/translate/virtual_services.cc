#include "translate/virtual_services.h"

#include <algorithm>
#include <utility>

#include "translate/names.h"

namespace lateen::translate {
namespace {

using model::VirtualService;

void resolve(model::Destination& destination, std::string_view namespace_, std::string_view domain) {
  destination.host = resolve_host(destination.host, namespace_, domain);
}

void resolve_hosts(RuleSource& rule, std::string_view domain) {
  const std::string& own = rule.object->meta.namespace_;
  for (auto& to : rule.route.route) resolve(to.destination, own, domain);
  if (rule.route.mirror) resolve(*rule.route.mirror, own, domain);
  for (auto& mirror : rule.route.mirrors) resolve(mirror.destination, own, domain);
  for (auto& match : rule.route.match)
    for (std::string& gateway : match.gateways) gateway = gateway_key(gateway, own);
}

std::vector<model::L4Route> resolved(std::vector<model::L4Route> routes, std::string_view namespace_,
                                     std::string_view domain) {
  for (auto& route : routes) {
    for (auto& to : route.route) resolve(to.destination, namespace_, domain);
    for (auto& match : route.match)
      for (std::string& gateway : match.gateways) gateway = gateway_key(gateway, namespace_);
  }
  return routes;
}

VisibleVirtualService make_visible(const model::Mesh& mesh, const model::Object& object, const VirtualService& spec,
                                   Notes notes) {
  const std::string& own = object.meta.namespace_;
  const std::string& domain = mesh.config.cluster_domain;
  VisibleVirtualService out;
  out.object = &object;
  out.spec = &spec;
  for (const std::string& host : spec.hosts) out.hosts.push_back(lower(resolve_host(host, own, domain)));
  for (const std::string& gateway : spec.gateways) out.gateways.push_back(gateway_key(gateway, own));
  if (out.gateways.empty()) out.gateways.emplace_back("mesh");
  out.http = with_delegates(mesh, object, spec, notes);
  for (RuleSource& rule : out.http) resolve_hosts(rule, domain);
  out.tls = resolved(spec.tls, own, domain);
  out.tcp = resolved(spec.tcp, own, domain);
  return out;
}

// istiod looks at what is private first, then at what is for few namespaces, then at what is for all.
int reach(const VirtualService& spec) {
  const auto& to = spec.export_to;
  if (to.empty() || std::find(to.begin(), to.end(), "*") != to.end()) return 2;
  return to.size() == 1 && to.front() == "." ? 0 : 1;
}

void note_not_exported(const model::Object& object, const VirtualService& spec, const model::Mesh& mesh,
                       const View& view, Notes notes) {
  for (const std::string& host : spec.hosts)
    notes.left_out.push_back({LeftOut::Why::kNotExported, object.origin("spec.exportTo"), {},
                              "exportTo does not name namespace " + view.namespace_,
                              lower(resolve_host(host, object.meta.namespace_, mesh.config.cluster_domain))});
}

}  // namespace

bool VisibleVirtualService::on_gateway(std::string_view gateway) const {
  return std::find(gateways.begin(), gateways.end(), gateway) != gateways.end();
}

std::vector<VisibleVirtualService> visible_virtual_services(const model::Mesh& mesh, const View& view, Notes notes) {
  auto all = mesh.all<VirtualService>(model::Kind::kVirtualService);
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    if (reach(*a.second) != reach(*b.second)) return reach(*a.second) < reach(*b.second);
    return model::older(*a.first, *b.first);
  });
  std::vector<VisibleVirtualService> out;
  for (const auto& [object, spec] : all) {
    if (spec->hosts.empty()) continue;  // only a delegate of others
    if (!exported(spec->export_to, object->meta.namespace_, view.namespace_)) {
      note_not_exported(*object, *spec, mesh, view, notes);
      continue;
    }
    out.push_back(make_visible(mesh, *object, *spec, notes));
  }
  return out;
}

}  // namespace lateen::translate
