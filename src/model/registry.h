// Where endpoints come from: ServiceEntry, WorkloadEntry, and the Kubernetes kinds as far as they are needed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/common.h"

namespace lateen::model {

struct WorkloadEntry {
  std::string address;
  std::map<std::string, std::uint32_t> ports;
  std::map<std::string, std::string> labels;
  std::string network, locality, service_account;
  std::uint32_t weight = 0;                    // 0: not given = 1
  bool operator==(const WorkloadEntry&) const = default;
};

struct ServicePort {
  std::uint32_t number = 0;
  std::string protocol, name;                  // Istio: HTTP, TCP ...; Kubernetes: from name prefix / appProtocol
  std::uint32_t target_port = 0;               // 0: as number
  std::string target_port_name;                // Kubernetes named target port
  bool operator==(const ServicePort&) const = default;
};

struct ServiceEntry {
  std::vector<std::string> hosts, addresses;
  std::vector<ServicePort> ports;
  enum class Location { kMeshExternal, kMeshInternal } location = Location::kMeshExternal;
  enum class Resolution { kNone, kStatic, kDns, kDnsRoundRobin, kDynamicDns } resolution = Resolution::kNone;
  std::vector<WorkloadEntry> endpoints;
  std::map<std::string, std::string> workload_selector;
  bool has_workload_selector = false;
  std::vector<std::string> export_to, subject_alt_names;
  bool operator==(const ServiceEntry&) const = default;
};

struct Service {                               // v1 Service
  std::string cluster_ip;                      // "", "None", or the address
  std::vector<std::string> cluster_ips;
  std::string type, external_name, app_protocol;
  std::string traffic_distribution, internal_traffic_policy;
  std::map<std::string, std::string> selector;
  std::vector<ServicePort> ports;
  bool operator==(const Service&) const = default;
};

struct EndpointSlice {                         // discovery.k8s.io/v1 EndpointSlice, and v1 Endpoints read as one
  std::string service;                         // label kubernetes.io/service-name, or the Endpoints' name
  struct Endpoint {
    std::vector<std::string> addresses;
    bool ready = true, serving = true;
    std::optional<bool> terminating;
    std::string target_pod, node_name, zone;
    bool operator==(const Endpoint&) const = default;
  };
  struct Port {
    std::string name, protocol, app_protocol;
    std::uint32_t port = 0;
    bool operator==(const Port&) const = default;
  };
  std::vector<Endpoint> endpoints;
  std::vector<Port> ports;
  bool operator==(const EndpointSlice&) const = default;
};

struct Pod {
  std::string ip, node_name, service_account, phase;
  struct ContainerPort { std::string name; std::uint32_t port = 0; bool operator==(const ContainerPort&) const = default; };
  std::vector<ContainerPort> ports;
  bool ready = true;
  bool operator==(const Pod&) const = default;
};

struct Namespace {
  bool operator==(const Namespace&) const = default;
};

}  // namespace lateen::model
