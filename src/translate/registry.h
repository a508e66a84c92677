// The services of a mesh and their endpoints, whatever kind of object they came from: Kubernetes Services with
// EndpointSlices, Endpoints, Pods or WorkloadEntries, and ServiceEntries.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "model/mesh.h"
#include "translate/protocol.h"
#include "translate/translate.h"

namespace lateen::translate {

using Labels = std::map<std::string, std::string>;

enum class Health : std::uint8_t { kUnknown, kHealthy, kUnhealthy };

struct Endpoint {
  std::string address;          // IP, name (DNS resolutions), or "unix:///path"
  std::uint32_t port = 0;
  std::uint32_t weight = 1;
  Health health = Health::kUnknown;
  std::string locality;         // "region/zone/subzone"
  std::string workload, namespace_;
  std::string account;          // service account, "" if none
  std::string network;
  std::string node;             // of Kubernetes, on which the pod runs
  std::string tls_mode;         // "istio": it has a sidecar
  std::shared_ptr<const Labels> labels;  // never null
};

struct Port {
  std::uint32_t number = 0;
  Protocol protocol = Protocol::kUnsupported;
  std::string name;
  std::uint32_t target = 0;     // as written; 0: as number
  std::string target_name;      // Kubernetes: named container port
};

enum class Resolution : std::uint8_t { kEds, kDns, kDnsRoundRobin, kDynamicDns, kPassthrough, kAlias };

struct Service {
  const model::Object* object = nullptr;
  std::string host;             // FQDN, lower case
  std::string name, namespace_;
  std::vector<Port> ports;
  std::vector<std::vector<Endpoint>> endpoints;  // by port; empty lists where there are none
  std::vector<std::string> addresses;            // that clients dial; empty: by name only
  Resolution resolution = Resolution::kEds;
  bool kubernetes = false;
  bool external = false;        // ServiceEntry MESH_EXTERNAL
  bool selects_workloads = false;
  bool node_local = false;      // internalTrafficPolicy Local: only endpoints on the client's node
  std::string traffic_distribution;              // of the Service's spec
  std::string external_name;    // Kubernetes ExternalName: the alias's target
  std::vector<std::string> aliases;              // hosts of ExternalName services that mean this one
  std::vector<std::string> export_to;
  std::vector<std::string> subject_names;        // ServiceEntry subjectAltNames
  // Namespaces and service accounts of the endpoints of all services of the host, where there are several.
  std::set<std::pair<std::string, std::string>> accounts;

  const Port* find_port(std::uint32_t number) const;
  std::size_t port_index(const Port& port) const { return static_cast<std::size_t>(&port - ports.data()); }
  // "0.0.0.0" where clients have only the name.
  std::string listen_address() const;
};

// A port of a service that a workload serves itself.
struct ServiceTarget {
  const Service* service = nullptr;
  const Port* port = nullptr;
  std::uint32_t target = 0;     // on which the workload listens
};

class Workloads;
struct Workload;

// Of one mesh; keeps pointers into it, so the mesh must outlive it.
class Registry {
 public:
  Registry(const model::Mesh& mesh, const Options& options);
  ~Registry();

  const std::vector<Service>& all() const { return services_; }
  // By host, those that can be seen from `client_namespace`. Where several have one host, Kubernetes goes before
  // ServiceEntries, then the client's own namespace, then age.
  std::map<std::string, const Service*, std::less<>> visible(std::string_view client_namespace) const;
  // All of them: those that are exported to few namespaces, then the others; older ones first.
  std::vector<const Service*> exported_to(std::string_view client_namespace) const;
  // The one that a rule of `client_namespace` means by `host`: its own, Kubernetes' of another namespace, or the oldest.
  const Service* best(std::string_view host, std::string_view client_namespace) const;

  // The pod that the view is, by its name. Null: none.
  const Workload* find_workload(const View& view) const;
  // What the view's workload serves; by age of the services.
  std::vector<ServiceTarget> targets(const View& view) const;

 private:
  void link_aliases();
  void repeat_by_address();

  std::unique_ptr<const Workloads> workloads_;
  std::vector<Service> services_;
  std::map<std::string, std::vector<const Service*>, std::less<>> by_host_;
};

// What the parts of Registry share while it is made.
struct Workload {
  const model::Object* object = nullptr;
  std::string address, name, namespace_, locality, account, network, node;
  std::map<std::string, std::uint32_t> ports;    // WorkloadEntry: by service port name; Pod: by container port name
  std::uint32_t weight = 1;
  bool pod = false, ready = true;
  std::shared_ptr<const Labels> labels;
};

// Finds workloads by name, address and labels without looking at each.
class Workloads {
 public:
  Workloads(const model::Mesh& mesh, const Options& options);

  const Workload* pod(std::string_view namespace_, std::string_view name) const;
  // The first pod with the address, in the namespace if one is given.
  const Workload* pod_at(std::string_view address, std::string_view namespace_ = {}) const;
  // The first WorkloadEntry of the namespace with the address.
  const Workload* entry_at(std::string_view namespace_, std::string_view address) const;
  // In the order of the mesh. An empty selector selects nothing.
  std::vector<const Workload*> select(std::string_view namespace_, const Labels& selector) const;

 private:
  void add(Workload workload);

  std::vector<Workload> all_;
  std::map<std::pair<std::string, std::string>, std::size_t, std::less<>> pods_;
  std::multimap<std::string, std::size_t, std::less<>> by_address_;
  std::map<std::string, std::vector<std::size_t>, std::less<>> by_label_;  // "namespace/key=value"
};

std::vector<Service> kubernetes_services(const model::Mesh& mesh, const Workloads& workloads, const Options& options);
std::vector<Service> service_entries(const model::Mesh& mesh, const Workloads& workloads);
// Services of one namespace and host have the endpoints of all of them, port by port, told apart by the ports' names.
void merge_endpoints(std::vector<Service>& services);
// What the entry says, else its labels.
std::string locality_of(const model::WorkloadEntry& entry);

// The TLS that the endpoint's own proxy takes: what its label says, else "istio" for a WorkloadEntry with an account.
std::string tls_mode(const Labels& labels, const std::string& entry_account);

// 240.240.0.0/16 addresses for the services that have none, the same ones for the same set of hosts.
void allocate_addresses(std::vector<Service>& services);

}  // namespace lateen::translate
