#include <string>

#include "translate/names.h"
#include "translate/proxy_addresses.h"
#include "translate/virtual_hosts.h"

namespace lateen::translate {
namespace {

// "reviews", "reviews.default.svc", "reviews.default" of a Kubernetes service; the bare name only in its own namespace.
std::vector<std::string> short_forms(const std::string& host, std::string_view client_namespace,
                                     std::string_view cluster_domain) {
  const std::string suffix = ".svc." + std::string(cluster_domain);
  if (!host.ends_with(suffix)) return {};
  const std::string with_namespace = host.substr(0, host.size() - suffix.size());
  const std::size_t dot = with_namespace.find('.');
  if (dot == std::string::npos) return {};
  std::vector<std::string> out;
  if (std::string_view(with_namespace).substr(dot + 1) == client_namespace) out.push_back(with_namespace.substr(0, dot));
  out.push_back(with_namespace + ".svc");
  out.push_back(with_namespace);
  return out;
}

}  // namespace

std::vector<std::string> short_names(const std::string& host, std::string_view client_namespace, std::string_view cluster_domain) {
  std::vector<std::string> out;
  if (!is_ip(host)) out.push_back(host + ".");
  for (std::string& name : short_forms(host, client_namespace, cluster_domain)) out.push_back(std::move(name));
  return out;
}

Domains service_domains(const Service& service, const Scope& scope, std::uint32_t with_port) {
  Domains out;
  const std::string port = ":" + std::to_string(with_port);
  const auto add = [&](const std::string& name) {
    out.all.push_back(name);
    if (with_port != 0) out.all.push_back(name + port);
  };
  const auto add_host = [&](const std::string& host) {
    add(host);
    for (const std::string& name : short_names(host, scope.view.namespace_, scope.mesh.config.cluster_domain)) {
      out.short_forms.push_back(name);
      if (with_port != 0) out.short_forms.push_back(name + port);
      add(name);
    }
  };
  add_host(service.host);
  for (const std::string& alias : service.aliases) add_host(alias);
  // The pods of a headless service have names of their own below the service's.
  if (service.resolution == Resolution::kPassthrough && service.kubernetes) {
    const std::vector<std::string> names = out.all;
    for (const std::string& name : names) out.all.push_back("*." + name);
  }
  std::vector<std::string> addresses = usable_addresses(service, proxy_addresses(scope.view));
  // istiod has a service for each address of a ServiceEntry, and the last one's domains.
  const bool only_last = scope.options.compat == Compat::kIstio && !service.kubernetes && addresses.size() > 1;
  if (only_last) addresses.erase(addresses.begin(), addresses.end() - 1);
  for (const std::string& address : addresses) {
    if (address == "0.0.0.0") continue;
    // Nobody asks for a subnet by name; istiod names it all the same.
    if (address.find('/') != std::string::npos && scope.options.compat != Compat::kIstio) continue;
    const bool v6 = address.find(':') != std::string::npos;
    const std::string written = v6 ? "[" + address + "]" : address;
    out.all.push_back(written);
    if (with_port != 0) out.all.push_back(written + port);
  }
  return out;
}

}  // namespace lateen::translate
