// Reading ServiceEntry and WorkloadEntry: the field tables and what istiod's validation says about them.
#include <set>

#include "model/common_shapes.h"
#include "model/kinds.h"
#include "model/names.h"
#include "model/registry.h"

namespace lateen::model {

namespace {

// ServicePort of an Istio kind has other fields than that of a Service.
struct EntryPort {
  std::uint32_t number = 0;
  std::string protocol, name;
  std::uint32_t target_port = 0;
};

void optional_port(Reader& reader, const std::uint32_t& value) {
  if (value != 0) port_number(reader, value);
}

void port_map(Reader& reader, const std::map<std::string, std::uint32_t>& ports) {
  for (const auto& [name, port] : ports) {
    if (!is_dns_label(name)) reader.error_below(name, kBadValue, "\"" + name + "\" is no name of a port");
    if (port < 1 || port > 65535) reader.error_below(name, kBadValue, "the port " + std::to_string(port) + " is not in range 1..65535");
  }
}

void entry_host(Reader& reader, const std::string& value) {
  if (value == "*") {
    reader.error(kBadValue, "the host \"*\" is too wide for a ServiceEntry", "name the service, or a wildcard such as *.example.com");
    return;
  }
  if (const std::string problem = wildcard_host_problem(value); !problem.empty())
    reader.error(kBadValue, "the host \"" + value + "\" " + problem, "write a name such as api.example.com");
}

bool is_stream_of_requests(std::string_view protocol) {
  return protocol == "HTTP" || protocol == "HTTP2" || protocol == "GRPC" || protocol == "GRPC-WEB" || protocol == "HTTPS" || protocol == "TLS";
}

// What is wrong with the address of an endpoint, or "".
std::string address_problem(const std::string& address, bool names_allowed) {
  if (address.starts_with("unix://")) return is_unix_address(address) ? "" : "is no path of a unix socket";
  if (is_ip_address(address)) return {};
  if (!names_allowed) return "is not a valid IP address";
  return fqdn_problem(address).empty() ? "" : "is neither an IP address nor a host name";
}

void check_address(Reader& reader, const WorkloadEntry& entry, const std::string& field, bool names_allowed) {
  if (entry.address.empty()) {
    if (entry.network.empty()) reader.error_below(field, kMissingField, "the endpoint has no address", "write address: 127.0.0.1");
    return;
  }
  if (const std::string problem = address_problem(entry.address, names_allowed); !problem.empty())
    reader.error_below(field, kBadValue, "the address \"" + entry.address + "\" " + problem, names_allowed ? "" : "write an IP address, or resolution: DNS");
  if (entry.address.starts_with("unix://") && !entry.ports.empty()) reader.error_below(field, kConflictingFields, "a unix socket has no ports");
}

}  // namespace

template <>
struct Words<ServiceEntry::Location> {
  using E = ServiceEntry::Location;
  static constexpr std::pair<std::string_view, E> kWords[] = {{"MESH_EXTERNAL", E::kMeshExternal}, {"MESH_INTERNAL", E::kMeshInternal}};
};
template <>
struct Words<ServiceEntry::Resolution> {
  using E = ServiceEntry::Resolution;
  static constexpr std::pair<std::string_view, E> kWords[] = {
      {"NONE", E::kNone}, {"STATIC", E::kStatic}, {"DNS", E::kDns}, {"DNS_ROUND_ROBIN", E::kDnsRoundRobin}, {"DYNAMIC_DNS", E::kDynamicDns}};
};

template <>
struct Shape<WorkloadEntry> : Table<WorkloadEntry> {
  using T = WorkloadEntry;
  static constexpr Field<T> kFields[] = {{"address", at<&T::address>},
                                         {"ports", at<&T::ports, port_map>},
                                         {"labels", at<&T::labels, selector_labels>},
                                         {"network", at<&T::network>},
                                         {"locality", at<&T::locality>},
                                         {"weight", at<&T::weight>},
                                         {"serviceAccount", at<&T::service_account>}};
};

template <>
struct Shape<EntryPort> : Table<EntryPort> {
  static constexpr Field<EntryPort> kFields[] = {{"number", at<&EntryPort::number, port_number>},
                                                 {"protocol", at<&EntryPort::protocol, protocol_word>},
                                                 {"name", at<&EntryPort::name, port_name>},
                                                 {"targetPort", at<&EntryPort::target_port, optional_port>}};
  static void check(Reader& reader, const EntryPort&, const text::Node& node) {
    if (!has(node, "number")) reader.error(kMissingField, "the port has no number", "write number: 80");
    if (!has(node, "name")) reader.error(kMissingField, "the port has no name", "write name: http");
  }
};

template <>
struct Shape<ServiceEntry> : Table<ServiceEntry> {
  using T = ServiceEntry;
  static void ports(Reader& reader, const text::Node& node, T& out) {
    std::vector<EntryPort> read;
    read_value(reader, node, read);
    for (EntryPort& port : read) out.ports.push_back({port.number, parse_protocol(port.protocol), std::move(port.name), port.target_port, {}});
  }
  static void selector(Reader& reader, const text::Node& node, T& out) {
    LabelSelector labels;
    out.has_workload_selector = true;
    if (read_value(reader, node, labels)) out.workload_selector = std::move(labels.labels);
  }
  static constexpr Field<T> kFields[] = {{"hosts", each<&T::hosts, entry_host>},
                                         {"addresses", each<&T::addresses, ip_subnet>},
                                         {"ports", ports},
                                         {"location", at<&T::location>},
                                         {"resolution", at<&T::resolution>},
                                         {"endpoints", at<&T::endpoints>},
                                         {"workloadSelector", selector},
                                         {"exportTo", at<&T::export_to>},
                                         {"subjectAltNames", at<&T::subject_alt_names>}};

  static void check(Reader& reader, const T& entry, const text::Node& node) {
    check_export_to(reader, entry.export_to, reader.own_namespace(), true);
    if (!has(node, "hosts") || entry.hosts.empty()) reader.error(kMissingField, "the ServiceEntry names no hosts", "write hosts: [NAME]");
    if (entry.has_workload_selector && has(node, "endpoints")) reader.error(kConflictingFields, "takes workloadSelector or endpoints, not both");
    check_ports(reader, entry);
    check_resolution(reader, entry);
    if (entry.resolution != T::Resolution::kNone && entry.hosts.size() > 1)
      for (std::size_t i = 0; i < entry.ports.size(); ++i)
        if (!is_stream_of_requests(entry.ports[i].protocol)) {
          reader.error_below("ports[" + std::to_string(i) + "]", kConflictingFields, "several hosts on one port need a protocol that names the host", "write protocol: HTTP, or one host only");
          break;
        }
  }

  static void check_ports(Reader& reader, const T& entry) {
    std::set<std::string_view> names;
    std::set<std::uint32_t> numbers;
    for (std::size_t i = 0; i < entry.ports.size(); ++i) {
      const std::string field = "ports[" + std::to_string(i) + "].";
      const ServicePort& port = entry.ports[i];
      if (!port.name.empty() && !names.insert(port.name).second) reader.error_below(field + "name", kBadValue, "the port name \"" + port.name + "\" is used twice");
      if (port.number != 0 && !numbers.insert(port.number).second) reader.error_below(field + "number", kBadValue, "the port " + std::to_string(port.number) + " is defined twice");
    }
    for (std::size_t i = 0; i < entry.endpoints.size(); ++i)
      for (const auto& [name, port] : entry.endpoints[i].ports)
        if (!names.contains(name))
          reader.error_below("endpoints[" + std::to_string(i) + "].ports." + name, kBadValue, "the port \"" + name + "\" is not defined by the ServiceEntry", "name a port of spec.ports");
  }

  static void check_resolution(Reader& reader, const T& entry) {
    const bool dns = entry.resolution == T::Resolution::kDns || entry.resolution == T::Resolution::kDnsRoundRobin;
    if (entry.resolution == T::Resolution::kNone && !entry.endpoints.empty())
      reader.error_below("endpoints", kConflictingFields, "resolution NONE takes no endpoints", "write resolution: STATIC");
    if (entry.resolution == T::Resolution::kDynamicDns) return check_dynamic(reader, entry);
    if (entry.resolution == T::Resolution::kNone) return check_subnets(reader, entry);
    for (std::size_t i = 0; i < entry.endpoints.size(); ++i) {
      const std::string field = "endpoints[" + std::to_string(i) + "].address";
      check_address(reader, entry.endpoints[i], field, dns);
      if (entry.endpoints[i].address.starts_with("unix://") && entry.ports.size() != 1)
        reader.error_below(field, kConflictingFields, "a unix socket serves exactly one port", "give it a ServiceEntry of its own");
      if (dns && entry.endpoints[i].address.empty() && !entry.endpoints[i].network.empty())
        reader.error_below(field, kMissingField, "an endpoint of resolution DNS needs an address");
    }
    if (entry.resolution == T::Resolution::kDnsRoundRobin && entry.endpoints.size() > 1)
      reader.error_below("endpoints", kConflictingFields, "resolution DNS_ROUND_ROBIN takes at most one endpoint");
    if (dns && entry.endpoints.empty())
      for (std::size_t i = 0; i < entry.hosts.size(); ++i)
        if (entry.hosts[i].starts_with('*'))
          reader.error_below("hosts[" + std::to_string(i) + "]", kConflictingFields, "a wildcard cannot be resolved by DNS", "give it endpoints, or name one host");
    check_subnets(reader, entry);
  }

  // The address is looked up by the name that the client asks for: nothing else can say it.
  static void check_dynamic(Reader& reader, const T& entry) {
    for (std::size_t i = 0; i < entry.hosts.size(); ++i)
      if (!entry.hosts[i].starts_with('*'))
        reader.error_below("hosts[" + std::to_string(i) + "]", kConflictingFields, "resolution DYNAMIC_DNS is for wildcards", "write *.example.com, or resolution: DNS");
    if (!entry.addresses.empty()) reader.error_below("addresses", kConflictingFields, "resolution DYNAMIC_DNS takes no addresses");
    if (!entry.endpoints.empty()) reader.error_below("endpoints", kConflictingFields, "resolution DYNAMIC_DNS takes no endpoints");
    for (std::size_t i = 0; i < entry.ports.size(); ++i)
      if (const std::string& word = entry.ports[i].protocol; word != "HTTP" && word != "HTTP2" && word != "GRPC" && word != "TLS")
        reader.error_below("ports[" + std::to_string(i) + "].protocol", kConflictingFields, "resolution DYNAMIC_DNS is for HTTP, HTTP2, GRPC and TLS");
  }

  static void check_subnets(Reader& reader, const T& entry) {
    const bool allowed = entry.resolution == T::Resolution::kNone || entry.resolution == T::Resolution::kStatic;
    for (std::size_t i = 0; i < entry.addresses.size(); ++i)
      if (!allowed && entry.addresses[i].find('/') != std::string::npos)
        reader.error_below("addresses[" + std::to_string(i) + "]", kConflictingFields, "subnets go with resolution NONE or STATIC only");
  }
};

ServiceEntry read_service_entry(Reader& reader, const text::Node& spec) {
  ServiceEntry entry;
  read_value(reader, spec, entry);
  return entry;
}

WorkloadEntry read_workload_entry(Reader& reader, const text::Node& spec) {
  WorkloadEntry entry;
  if (read_value(reader, spec, entry)) check_address(reader, entry, "address", true);
  return entry;
}

}  // namespace lateen::model
