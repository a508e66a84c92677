#include <string>

#include "translate/names.h"
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

Domains service_domains(const Service& service, std::string_view client_namespace, std::string_view cluster_domain,
                        std::uint32_t with_port) {
  Domains out;
  const std::string port = ":" + std::to_string(with_port);
  const auto add = [&](const std::string& name) {
    out.all.push_back(name);
    if (with_port != 0) out.all.push_back(name + port);
  };
  const auto add_short = [&](const std::string& name) {
    out.short_forms.push_back(name);
    if (with_port != 0) out.short_forms.push_back(name + port);
    add(name);
  };
  add(service.host);
  if (!is_ip(service.host)) add_short(service.host + ".");
  for (const std::string& name : short_forms(service.host, client_namespace, cluster_domain)) add_short(name);
  // The pods of a headless service have names of their own below the service's.
  if (service.resolution == Resolution::kPassthrough && service.kubernetes) {
    const std::vector<std::string> names = out.all;
    for (const std::string& name : names) out.all.push_back("*." + name);
  }
  for (const std::string& address : service.addresses)
    if (address != "0.0.0.0" && address.find('/') == std::string::npos) add(address);
  return out;
}

}  // namespace lateen::translate
