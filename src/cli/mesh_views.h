// The views of the mesh: one for each identity, made at its first use; each with its own translation and snapshot.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "admin/backend.h"
#include "net/loop.h"
#include "proxy/proxy.h"
#include "runtime/compile.h"

namespace lateen::cli {

// "[namespace/]name" of a workload, and labels that are added to its own.
struct Identity {
  std::string namespace_ = "default";
  std::string name;                                   // "": no workload
  std::map<std::string, std::string> labels;
  auto operator<=>(const Identity&) const = default;
};
// "name", "namespace/name", "name.namespace" (istioctl's form), "deploy/name"; "" is the anonymous client of namespace
// default. Errors: kInvalidConfig.
Result<Identity> parse_identity(std::string_view text);
std::string to_string(const Identity& identity);

// The labels of the Pod or WorkloadEntry of that name, else app=name; DESIGN, views.
translate::View resolve_view(const Identity& identity, const model::Mesh& mesh);

class MeshViews {
 public:
  static constexpr std::size_t kViewsMax = 1'024;

  // All of these must outlive the object.
  MeshViews(net::Loop& loop, proxy::Proxy& proxy, const translate::Options& options)
      : loop_(loop), proxy_(proxy), options_(options) {}

  // Errors: kOverLimit.
  Result<const admin::ViewPage*> workload(const Identity& identity, const model::Mesh& mesh);
  // The inbound side of a workload: its own listeners are in it.
  Result<const admin::ViewPage*> inbound(const Identity& identity, const model::Mesh& mesh);
  Result<const admin::ViewPage*> gateway(const std::string& name, const translate::View& view, const model::Mesh& mesh);
  // A view that is there and is no workload's, by what a user may call it: a gateway, "inbound:default/web-1".
  const admin::ViewPage* find(std::string_view name) const;
  std::vector<const admin::ViewPage*> all() const;

  // Translates every view anew; `done` comes when every worker serves all of them.
  void update(const model::Mesh& mesh, std::function<void()> done);

 private:
  struct State {
    admin::ViewPage page;
    enum class Kind : std::uint8_t { kWorkload, kGateway, kInbound } kind = Kind::kWorkload;
    Identity identity;
    runtime::ClusterNames names;
  };
  Result<State*> make(const std::string& key, translate::View view);
  void translate(State& state, const model::Mesh& mesh, std::function<void()> done);

  net::Loop& loop_;
  proxy::Proxy& proxy_;
  const translate::Options options_;
  std::map<std::string, std::unique_ptr<State>, std::less<>> states_;
};

}  // namespace lateen::cli
