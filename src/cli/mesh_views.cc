#include "cli/mesh_views.h"

#include "cli/gateway_workloads.h"

namespace lateen::cli {

namespace {

// Counts the calls that are still out; the last one calls on.
std::function<void()> after(std::size_t calls, std::function<void()> done) {
  if (!done) return nullptr;
  // Copied with each callback, all of them on the control loop.
  struct Count {
    std::size_t left;
    std::function<void()> done;
  };
  const std::shared_ptr<const std::unique_ptr<Count>> count =
      std::make_shared<const std::unique_ptr<Count>>(std::make_unique<Count>(Count{calls, std::move(done)}));
  return [count] {
    if (--(*count)->left == 0) (*count)->done();
  };
}

bool is_name(std::string_view text) {
  return !text.empty() && text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
                              std::string_view::npos;
}

std::string label(const std::map<std::string, std::string>& labels, std::string_view name) {
  const auto found = labels.find(std::string(name));
  return found == labels.end() ? std::string() : found->second;
}

}  // namespace

Result<Identity> parse_identity(std::string_view text) {
  Identity identity;
  for (const std::string_view kind : {"deploy/", "deployment/", "pod/", "deployments/", "pods/"})
    if (text.starts_with(kind)) {
      text.remove_prefix(kind.size());
      break;
    }
  if (const std::size_t slash = text.find('/'); slash != std::string_view::npos) {
    identity.namespace_ = text.substr(0, slash);
    identity.name = text.substr(slash + 1);
  } else if (const std::size_t dot = text.rfind('.'); dot != std::string_view::npos) {
    identity.name = text.substr(0, dot);
    identity.namespace_ = text.substr(dot + 1);
  } else {
    identity.name = text;
  }
  const bool good = (identity.name.empty() || is_name(identity.name)) && is_name(identity.namespace_);
  if (!good)
    return fail(ErrorCode::kInvalidConfig, "\"" + std::string(text) + "\" names no workload: write NAME or NAMESPACE/NAME");
  return identity;
}

std::string to_string(const Identity& identity) {
  std::string text = identity.namespace_ + "/" + identity.name;
  for (const auto& [name, value] : identity.labels) text += "," + name + "=" + value;
  return text;
}

translate::View resolve_view(const Identity& identity, const model::Mesh& mesh) {
  translate::View view;
  view.name = identity.name;
  view.namespace_ = identity.namespace_;
  const auto pod = mesh.objects.find({model::Kind::kPod, identity.namespace_, identity.name});
  const auto entry = mesh.objects.find({model::Kind::kWorkloadEntry, identity.namespace_, identity.name});
  if (pod != mesh.objects.end()) {
    view.labels = pod->second->meta.labels;
    if (const auto* spec = std::get_if<model::Pod>(&pod->second->spec); spec != nullptr && !spec->ip.empty())
      view.addresses.push_back(spec->ip);
  } else if (entry != mesh.objects.end()) {
    view.labels = entry->second->meta.labels;
    if (const auto* spec = std::get_if<model::WorkloadEntry>(&entry->second->spec)) {
      for (const auto& [name, value] : spec->labels) view.labels[name] = value;
      view.addresses.push_back(spec->address);
      view.locality = spec->locality;
    }
  } else if (!identity.name.empty()) {
    view.labels["app"] = identity.name;
  }
  for (const auto& [name, value] : identity.labels) view.labels[name] = value;
  return view;
}

Result<MeshViews::State*> MeshViews::make(const std::string& key, translate::View view) {
  if (states_.size() >= kViewsMax)
    return fail(ErrorCode::kOverLimit, "more than " + std::to_string(kViewsMax) + " views are in use");
  auto state = std::make_unique<State>();
  state->page.identity = key;
  state->page.view = std::move(view);
  const translate::View& made = state->page.view;
  proxy::ViewInfo info;
  info.name = made.name;
  info.namespace_ = made.namespace_;
  info.app = label(made.labels, "app");
  info.version = label(made.labels, "version");
  info.service_account = "default";
  state->page.id = proxy_.add_view(info);
  State* const result = state.get();
  states_[key] = std::move(state);
  return result;
}

Result<const admin::ViewPage*> MeshViews::workload(const Identity& identity, const model::Mesh& mesh) {
  const std::string key = to_string(identity);
  if (const auto found = states_.find(key); found != states_.end()) return &found->second->page;
  LATEEN_TRY(State* state, make(key, resolve_view(identity, mesh)));
  state->identity = identity;
  translate(*state, mesh, nullptr);
  return &state->page;
}

Result<const admin::ViewPage*> MeshViews::inbound(const Identity& identity, const model::Mesh& mesh) {
  const std::string key = "inbound:" + to_string(identity);
  if (const auto found = states_.find(key); found != states_.end()) return &found->second->page;
  LATEEN_TRY(State* state, make(key, resolve_view(identity, mesh)));
  state->kind = State::Kind::kInbound;
  state->identity = identity;
  translate(*state, mesh, nullptr);
  return &state->page;
}

Result<const admin::ViewPage*> MeshViews::gateway(const std::string& name, const translate::View& view,
                                                  const model::Mesh& mesh) {
  const std::string key = "gateway:" + view.namespace_ + "/" + name;
  if (const auto found = states_.find(key); found != states_.end()) return &found->second->page;
  LATEEN_TRY(State* state, make(key, view));
  state->kind = State::Kind::kGateway;
  translate(*state, mesh, nullptr);
  return &state->page;
}

const admin::ViewPage* MeshViews::find(std::string_view name) const {
  for (const auto& [key, state] : states_) {
    if (state->kind == State::Kind::kInbound && name == key) return &state->page;
    if (state->kind == State::Kind::kGateway && names_view(state->page.view, name)) return &state->page;
  }
  return nullptr;
}

std::vector<const admin::ViewPage*> MeshViews::all() const {
  std::vector<const admin::ViewPage*> pages;
  for (const auto& [key, state] : states_) pages.push_back(&state->page);
  return pages;
}

void MeshViews::translate(State& state, const model::Mesh& mesh, std::function<void()> done) {
  admin::ViewPage& page = state.page;
  if (state.kind != State::Kind::kGateway) page.view = resolve_view(state.identity, mesh);
  translate::Options options = options_;
  if (state.kind == State::Kind::kInbound) {
    // Nothing is captured: only listeners that are opened by themselves can be served.
    page.view.interception = translate::View::Interception::kNone;
    options.inbound = true;
  }
  page.translation = std::make_shared<const translate::Translation>(translate::translate(mesh, page.view, options));
  runtime::Compiled compiled = runtime::compile(page.translation->resources, page.snapshot.get(), state.names);
  page.snapshot = std::move(compiled.snapshot);
  page.refused = std::move(compiled.refused);
  page.updated = loop_.wall_now();
  ++page.version;
  proxy_.adopt(page.id, page.snapshot, std::move(done));
}

void MeshViews::update(const model::Mesh& mesh, std::function<void()> done) {
  if (states_.empty()) {
    if (done) done();
    return;
  }
  const std::function<void()> one_done = after(states_.size(), std::move(done));
  for (const auto& [key, state] : states_) translate(*state, mesh, one_done);
}

}  // namespace lateen::cli
