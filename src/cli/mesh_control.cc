#include "cli/mesh_control.h"

#include <algorithm>

#include "analyze/analyze.h"
#include "model/read.h"
#include "model/supported.h"

namespace lateen::cli {

namespace {

using Objects = std::map<model::Key, model::ObjectPtr>;

// An owner that is overtaken may have had a rival of its own: so many are passed at most.
constexpr int kTakeoverStepsMax = 64;
// Several changes in a row are written once.
constexpr Duration kRememberAfter = std::chrono::milliseconds(200);

bool same_text(const model::Object& a, const model::Object& b) {
  return a.yaml == b.yaml && a.file == b.file && a.positions == b.positions;
}

// Objects beside those applied whose standing is another than before.
std::vector<admin::ObjectOutcome> changed_others(const admit::Admission& before, const admit::Admission& after,
                                                 const std::vector<admin::ObjectOutcome>& applied) {
  std::vector<admin::ObjectOutcome> others;
  for (const auto& [key, status] : after.status) {
    const auto old = before.status.find(key);
    if (old == before.status.end() || old->second.standing == status.standing) continue;
    const bool own = std::any_of(applied.begin(), applied.end(), [&key = key](const admin::ObjectOutcome& one) { return one.key == key; });
    if (!own) others.push_back({.key = key, .action = "unchanged", .reason = {}, .status = status});
  }
  return others;
}

bool is_about(const Diagnostic& diagnostic, const std::vector<admin::ObjectOutcome>& objects) {
  return std::any_of(objects.begin(), objects.end(), [&](const admin::ObjectOutcome& outcome) {
    const std::string key = model::to_string(outcome.key);
    // What is wrong with a Secret is said at the field that asks for it.
    const bool names_it = outcome.key.kind == model::Kind::kSecret && diagnostic.message.find(key + " ") != std::string::npos;
    return names_it || diagnostic.origin.object == key;
  });
}

}  // namespace

Result<std::unique_ptr<MeshControl>> MeshControl::open(net::Loop& loop, Options options, std::function<void()> on_change) {
  std::unique_ptr<MeshControl> control(new MeshControl(loop, std::move(options.config), std::move(on_change)));
  const std::string applied = options.state.empty() ? "" : options.state + "/applied";
  LATEEN_TRY(control->store_, sources::AppliedStore::open(applied));
  sources::FirstSeen first_seen;
  if (!options.state.empty()) {
    control->memory_path_ = options.state + "/serving";
    if (auto memory = sources::load_memory(control->memory_path_)) {
      control->admission_.accepted.objects = *std::move(memory);
      first_seen = sources::first_seen_of(control->admission_.accepted.objects);
    } else {
      control->memory_problems_.push_back({"LTN0910", Severity::kWarning, {}, memory.error().message,
                                           "the mesh starts without its memory; the file is written anew"});
    }
  }
  MeshControl* self = control.get();
  LATEEN_TRY(control->directory_, sources::Directory::open(loop, std::move(options.paths), [self] { self->refresh(); },
                                                           std::move(first_seen)));
  control->joined_ = control->join(control->store_->objects());
  control->admission_ = control->admit(control->joined_);
  control->remember_soon();
  return control;
}

MeshControl::~MeshControl() {
  if (memory_timer_.armed()) remember();
}

void MeshControl::remember_soon() {
  if (!memory_path_.empty()) loop_.arm<&MeshControl::remember>(memory_timer_, kRememberAfter, this);
}

void MeshControl::remember() {
  memory_timer_.cancel();
  memory_problems_.clear();
  if (auto stored = sources::store_memory(memory_path_, admission_.accepted.objects); !stored)
    memory_problems_.push_back({"LTN0911", Severity::kWarning, {}, stored.error().message, ""});
}

sources::Joined MeshControl::join(const Objects& applied) const {
  return sources::join({directory_->files(), applied, registrations_.objects(), admission_.accepted.objects});
}

admit::Admission MeshControl::admit(const sources::Joined& joined) const {
  return admit::admit(admission_.accepted, {joined.objects, joined.problems, joined.unreadable, config_});
}

void MeshControl::refresh() {
  joined_ = join(store_->objects());
  admission_ = admit(joined_);
  remember_soon();
  on_change_();
}

std::vector<admin::ObjectPage> MeshControl::objects() const {
  std::vector<admin::ObjectPage> pages;
  const auto source_of = [&](const model::Key& key, const model::Object& object) {
    if (const auto applied = store_->objects().find(key);
        applied != store_->objects().end() && file_object(key) == nullptr)
      return admin::Source::kApplied;
    const auto registered = registrations_.objects().find(key);
    if (registered != registrations_.objects().end() && registered->second.get() == &object) return admin::Source::kRegistered;
    return admin::Source::kFile;
  };
  for (const auto& [key, status] : admission_.status) {
    const auto written = joined_.objects.find(key);
    const auto serving = admission_.mesh.objects.find(key);
    admin::ObjectPage page;
    page.status = status;
    if (serving != admission_.mesh.objects.end()) page.serving = serving->second;
    page.object = written != joined_.objects.end() ? written->second : page.serving;
    if (page.object == nullptr) continue;  // never readable: it is among the problems
    page.source = source_of(key, *page.object);
    pages.push_back(std::move(page));
  }
  return pages;
}

std::vector<Diagnostic> MeshControl::problems() const {
  std::vector<Diagnostic> all = joined_.problems;
  const std::vector<Diagnostic> stored = store_->problems();
  all.insert(all.end(), stored.begin(), stored.end());
  all.insert(all.end(), memory_problems_.begin(), memory_problems_.end());
  return all;
}

const model::Object* MeshControl::file_object(const model::Key& key) const {
  for (const auto& [path, file] : directory_->files())
    for (const model::ObjectPtr& object : file.content.objects)
      if (object->key() == key) return object.get();
  return nullptr;
}

std::string MeshControl::where(const model::Object& object) const {
  const std::string text = to_string(object.origin());
  return text.empty() ? "a file" : text;
}

admin::ObjectOutcome MeshControl::apply_one(const model::ObjectPtr& object, const admin::ApplyRequest& request, Objects& trial) {
  admin::ObjectOutcome outcome{.key = object->key(), .action = "refused", .reason = {}, .status = {}};
  outcome.status.standing = admit::Standing::kRefused;
  if (const model::Object* in_file = file_object(outcome.key)) {
    outcome.reason = "is in the file " + where(*in_file) + ", which the mesh follows; change it there, or give the applied object (" +
                     (request.file.empty() ? std::string("standard input") : where(*object)) + ") another name";
    outcome.status.reason = outcome.reason;
    return outcome;
  }
  const auto known = trial.find(outcome.key);
  model::Object next = *object;
  next.meta.created = known == trial.end() ? loop_.wall_now() : *known->second->meta.created;
  if (known != trial.end() && known->second->content_hash == object->content_hash) {
    outcome.action = "unchanged";
    if (same_text(*known->second, *object)) return outcome;
  } else {
    outcome.action = known == trial.end() ? "created" : "configured";
  }
  const auto stored = std::make_shared<const model::Object>(std::move(next));
  if (!request.dry_run) {
    if (auto put = store_->put(stored); !put) {
      outcome.action = "refused";
      outcome.reason = outcome.status.reason = put.error().message;
      return outcome;
    }
  }
  trial[outcome.key] = stored;
  return outcome;
}

// Makes the object older than whoever owns its hosts: creation time decides (model::older).
Result<void> MeshControl::take_over(const model::ObjectPtr& object, Objects& trial) {
  const model::Key key = object->key();
  for (int step = 0; step < kTakeoverStepsMax; ++step) {
    const sources::Joined joined = join(trial);
    const admit::Admission admission = admit(joined);
    const auto status = admission.status.find(key);
    if (status == admission.status.end() || status->second.standing != admit::Standing::kNotInEffect) return {};
    const auto owner_key = sources::key_of(status->second.because_of);
    const auto owner = owner_key ? admission.mesh.objects.find(*owner_key) : admission.mesh.objects.end();
    if (owner == admission.mesh.objects.end() || !owner->second->meta.created)
      return fail(ErrorCode::kConflict, "cannot take over: " + status->second.reason);
    model::Object next = *trial.at(key);
    next.meta.created = *owner->second->meta.created - std::chrono::seconds(1);
    trial[key] = std::make_shared<const model::Object>(std::move(next));
  }
  return fail(ErrorCode::kOverLimit, "cannot take over: too many owners before it");
}

admin::ApplyOutcome MeshControl::apply(const admin::ApplyRequest& request, translate::Compat compat) {
  admin::ApplyOutcome outcome;
  const model::ReadResult read = model::read_supported_manifests(request.yaml, request.file);
  outcome.diagnostics = read.problems;
  outcome.ignored = read.ignored;
  outcome.failed = has_errors(read.problems);
  Objects trial = store_->objects();
  for (const model::ObjectPtr& object : read.objects) {
    outcome.objects.push_back(apply_one(object, request, trial));
    admin::ObjectOutcome& one = outcome.objects.back();
    if (one.action == "refused") {
      outcome.failed = true;
      continue;
    }
    if (!request.takeover) continue;
    const auto created_before = trial.at(one.key)->meta.created;
    auto taken = take_over(object, trial);
    if (trial.at(one.key)->meta.created != created_before && one.action == "unchanged") one.action = "configured";
    if (taken && !request.dry_run) taken = store_->set_created(one.key, *trial.at(one.key)->meta.created);
    if (!taken) {
      one.reason = taken.error().message;
      outcome.failed = true;
    }
  }
  const sources::Joined joined = join(trial);
  const admit::Admission admission = admit(joined);
  for (admin::ObjectOutcome& one : outcome.objects)
    if (const auto status = admission.status.find(one.key); one.action != "refused" && status != admission.status.end())
      one.status = status->second;
  outcome.others = changed_others(admission_, admission, outcome.objects);
  for (const Diagnostic& finding : analyze::analyze(admission.mesh, compat))
    if (is_about(finding, outcome.objects)) outcome.diagnostics.push_back(finding);
  if (!request.dry_run) refresh();
  return outcome;
}

Result<admin::ObjectOutcome> MeshControl::remove(const model::Key& key) {
  const model::Object* in_file = file_object(key);
  if (in_file != nullptr && !store_->objects().contains(key))
    return fail(ErrorCode::kConflict, model::to_string(key) + " is in the file " + where(*in_file) +
                                          ", which the mesh follows; take it out of that file");
  LATEEN_TRY(const bool removed, store_->remove(key));
  if (!removed) {
    if (registrations_.objects().contains(key))
      return fail(ErrorCode::kConflict, model::to_string(key) + " is registered by a workload that lives; end the workload");
    return fail(ErrorCode::kNotFound, model::to_string(key) + " not found");
  }
  refresh();
  return admin::ObjectOutcome{key, "deleted", {}, {}};
}

Result<sources::Registrations::Owner> MeshControl::add_registration(std::vector<model::ObjectPtr> objects) {
  for (model::ObjectPtr& object : objects) object = sources::with_created(object, loop_.wall_now());
  LATEEN_TRY(const sources::Registrations::Owner owner, registrations_.add(std::move(objects)));
  refresh();
  return owner;
}

void MeshControl::remove_registration(sources::Registrations::Owner owner) {
  registrations_.remove(owner);
  refresh();
}

}  // namespace lateen::cli
