#include "cli/xds_input.h"

#include <memory>

#include "model/read.h"
#include "text/json.h"
#include "text/yaml.h"

namespace lateen::cli {
namespace {

using text::Node;

Error bad(const NamedInput& input, const Node* node, std::string message) {
  Origin origin;
  origin.file = input.name;
  if (node != nullptr) {
    origin.line = node->line;
    origin.column = node->column;
  }
  return {ErrorCode::kInvalidConfig, std::move(message), origin};
}

std::string text_at(const Node& root, std::initializer_list<std::string_view> keys) {
  const Node* node = root.at(keys);
  return node == nullptr ? std::string() : node->scalar;
}

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> out;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t comma = text.find(',', begin);
    const std::size_t end = comma == std::string::npos ? text.size() : comma;
    if (end > begin) out.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

// "region/zone/subzone", as far as the node says it.
std::string locality_of(const Node& root) {
  std::string out = text_at(root, {"locality", "region"});
  for (const char* part : {"zone", "sub_zone"}) {
    const std::string text = text_at(root, {"locality", part});
    if (text.empty()) break;
    out += "/" + text;
  }
  return out;
}

Result<translate::View::Interception> interception_of(const NamedInput& input, const Node& root) {
  using Interception = translate::View::Interception;
  const Node* mode = root.at({"metadata", "INTERCEPTION_MODE"});
  if (mode == nullptr || mode->scalar.empty() || mode->scalar == "REDIRECT") return Interception::kRedirect;
  if (mode->scalar == "TPROXY") return Interception::kTproxy;
  if (mode->scalar == "NONE") return Interception::kNone;
  return tl::unexpected(bad(input, mode, "INTERCEPTION_MODE must be REDIRECT, TPROXY or NONE"));
}

}  // namespace

Result<translate::View> read_node(const NamedInput& input) {
  LATEEN_TRY(const Node root, text::read_json(input.text, input.name));
  const Node* id = root.find("id");
  if (id == nullptr || !id->is_string()) return tl::unexpected(bad(input, &root, "id is missing"));
  translate::View view;
  const std::string kind = id->scalar.substr(0, id->scalar.find('~'));
  if (kind == "router") view.kind = translate::View::Kind::kRouter;
  else if (kind != "sidecar") return tl::unexpected(bad(input, id, "id must begin with sidecar~ or router~"));
  view.name = text_at(root, {"metadata", "NAME"});
  if (const std::string own = text_at(root, {"metadata", "NAMESPACE"}); !own.empty()) view.namespace_ = own;
  view.addresses = split_list(text_at(root, {"metadata", "INSTANCE_IPS"}));
  if (const Node* labels = root.at({"metadata", "LABELS"}); labels != nullptr)
    for (const text::Member& label : labels->members) view.labels[label.key] = label.value.scalar;
  LATEEN_TRY(view.interception, interception_of(input, root));
  view.locality = locality_of(root);
  view.generator = text_at(root, {"metadata", "GENERATOR"});
  view.istio_version = text_at(root, {"metadata", "ISTIO_VERSION"});
  view.service_account = text_at(root, {"metadata", "SERVICE_ACCOUNT"});
  if (const Node* metadata = root.find("metadata"); metadata != nullptr)
    for (const text::Member& member : metadata->members)
      if (member.value.is_string()) view.metadata[member.key] = member.value.scalar;
  return view;
}

model::MeshConfig mesh_config_for(const NamedInput& node, const model::MeshConfig& config, std::vector<Diagnostic>& problems) {
  const auto root = text::read_json(node.text, node.name);
  const Node* own = root ? root->at({"metadata", "PROXY_CONFIG"}) : nullptr;
  if (own == nullptr || !own->is_mapping()) return config;
  model::ReadMeshConfig read = model::with_proxy_config(*own, node.name, config);
  problems.insert(problems.end(), read.problems.begin(), read.problems.end());
  return std::move(read.config);
}

void apply_mesh_config(const model::MeshConfig& config, translate::Options& options) {
  options.access_log = !config.access_log_file.empty();
  options.auto_mtls = options.compat == translate::Compat::kIstio && config.auto_mtls;
  options.http_proxy_port = config.proxy_http_port;
}

std::map<std::string, std::string> read_node_localities(const NamedInput& manifests) {
  std::map<std::string, std::string> out;
  for (const text::YamlDocument& document : text::read_yaml(manifests.text, manifests.name).documents) {
    if (text_at(document.root, {"kind"}) != "Node") continue;
    const std::string region = text_at(document.root, {"metadata", "labels", "topology.kubernetes.io/region"});
    const std::string zone = text_at(document.root, {"metadata", "labels", "topology.kubernetes.io/zone"});
    const std::string subzone = text_at(document.root, {"metadata", "labels", "topology.istio.io/subzone"});
    out[text_at(document.root, {"metadata", "name"})] = region + "/" + zone + "/" + subzone;
  }
  return out;
}

namespace {

// What a cluster has before any object of Istio comes.
bool is_kubernetes(model::Kind kind) {
  using Kind = model::Kind;
  return kind == Kind::kService || kind == Kind::kPod || kind == Kind::kEndpointSlice || kind == Kind::kEndpoints || kind == Kind::kNamespace;
}

}  // namespace

model::Mesh read_mesh(const std::vector<NamedInput>& manifests, std::vector<Diagnostic>& problems) {
  constexpr auto kNewYear = std::chrono::sys_days(std::chrono::year(2026) / std::chrono::January / 1);
  model::Mesh mesh;
  for (const NamedInput& input : manifests) {
    model::ReadResult read = model::read_manifests(input.text, input.name);
    problems.insert(problems.end(), read.problems.begin(), read.problems.end());
    for (const model::ObjectPtr& object : read.objects) {
      model::Object dated = *object;
      if (!dated.meta.created) dated.meta.created = is_kubernetes(object->key().kind) ? WallTime::min() : WallTime(kNewYear.time_since_epoch());
      mesh.objects.insert_or_assign(object->key(), std::make_shared<const model::Object>(std::move(dated)));
    }
  }
  return mesh;
}

}  // namespace lateen::cli
