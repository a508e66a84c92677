// translate(): the accepted model in, Envoy xDS out, for one view. Pure; without memory.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/mesh.h"
#include "xds/resources.h"

namespace lateen::translate {

enum class Compat { kLateen, kIstio };

// Who asks. Routing in Istio depends on it (sourceLabels, namespaces, exportTo, DestinationRule lookup).
struct View {
  enum class Kind { kSidecar, kRouter };
  Kind kind = Kind::kSidecar;
  std::string name;                            // workload name, "sleep"; or the gateway's
  std::string namespace_ = "default";
  std::map<std::string, std::string> labels;
  std::vector<std::string> addresses;          // the workload's own IPs, if any
  std::string service_account;                 // "default" where it is not known
  std::string locality;                        // "region/zone/subzone" of the node itself; "" if it says none
  std::string generator;                       // "grpc": a client that speaks xDS itself; "": an Envoy
  enum class Interception : std::uint8_t { kRedirect, kTproxy, kNone } interception = Interception::kRedirect;
  std::string istio_version;                   // of the node's metadata, for EnvoyFilter; "" if it says none
  std::map<std::string, std::string> metadata; // other texts of the node's metadata, for EnvoyFilter

  bool operator==(const View&) const = default;
  auto operator<=>(const View&) const = default;
};

// A rule of the user that did not become a route for this view, and why.
struct LeftOut {
  enum class Why { kLosesToOlder, kOtherSource, kOtherPort, kOtherGateway, kBehindCatchAll, kNotExported, kUnknownHost, kOther };
  Why why = Why::kOther;
  Origin rule;                                 // file:line of the rule
  Origin because_of;                           // the winner, or the catch-all; empty if none
  std::string text;                            // "sourceLabels app=reviews does not select sleep"
  std::string host;                            // the host that it is about, as an FQDN
  std::uint32_t port = 0;                      // of the listener for whose routes it was left out; 0: for all

  bool operator==(const LeftOut&) const = default;
};

// Where a generated thing came from. Key: "route/<route table>/<virtual host>/<index>" or "cluster/<name>"; field is
// what was set ("timeout", "retries", "weight[1]") or "" for the whole.
struct ProvenanceKey {
  std::string resource;
  std::string field;
  auto operator<=>(const ProvenanceKey&) const = default;
};
using Provenance = std::map<ProvenanceKey, Origin>;

struct Translation {
  xds::Resources resources;
  Provenance provenance;
  std::vector<LeftOut> left_out;
};

struct Options {
  Compat compat = Compat::kLateen;
  // What istiod sends and a mesh without sidecars at its workloads has no use for.
  bool auto_mtls = false;           // TLS to endpoints with a sidecar, by transport_socket_matches
  bool access_log = false;          // access loggers in listeners, for mesh config accessLogFile
  std::uint16_t http_proxy_port = 0;  // mesh config proxyHttpPort: a listener for HTTP proxy clients; 0: none
  bool inbound = false;             // the inbound side of a workload: virtualInbound and the inbound clusters
  bool secrets = false;             // the Secrets that listeners and clusters name, from Secret manifests
  // Give services without an address one of 240.240.0.0/16, as Istio's DNS proxying does.
  bool allocate_addresses = false;
  std::string cluster_id = "Kubernetes";                // Istio's name for the registry
  std::map<std::string, std::string> node_localities;   // Kubernetes node -> "region/zone/subzone"
};

// "[namespace/]name" of every service of the mesh, with the addresses that clients may dial: what names resolve to.
struct ServiceAddress {
  std::string host;                            // FQDN
  std::string namespace_;
  std::vector<std::string> aliases;            // "reviews", "reviews.default", "reviews.default.svc" for default's clients
  std::vector<std::string> addresses;          // cluster IPs, ServiceEntry addresses, or the allocated one
  std::vector<std::uint32_t> ports;
};
std::vector<ServiceAddress> service_addresses(const model::Mesh& mesh, std::string_view client_namespace,
                                              const Options& options);

Translation translate(const model::Mesh& mesh, const View& view, const Options& options);

}  // namespace lateen::translate
