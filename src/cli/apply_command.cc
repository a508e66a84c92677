#include <cstdio>
#include <map>

#include "cli/admin_client.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/object_rows.h"
#include "model/read.h"

namespace lateen::cli {

namespace {

constexpr Flag kApplyFlags[] = {
    {"filename", 'f', "PATH", "a file, a folder, or - for standard input; may be repeated"},
    {"takeover", 0, "", "become the owner of hosts that belong to an older VirtualService"},
    {"dry-run", 0, "", "say what would happen, change nothing"},
    {"admin", 0, "ADDR", "the mesh's admin port (LATEEN_ADMIN, else 127.0.0.1:15000)"},
};
constexpr Usage kApplyUsage{
    .synopsis = "lateen apply -f PATH [flags]",
    .text = "Applies manifests to the running mesh. Each object is taken or refused alone; when the command ends, what\n"
            "was taken is in effect, or its line says why not.",
    .flags = kApplyFlags,
    .examples = "  lateen apply -f virtualservice.yaml\n"
                "  lateen apply -f rules/ --dry-run\n"
                "  lateen apply --takeover -f canary.yaml",
};

constexpr Flag kDeleteFlags[] = {
    {"filename", 'f', "PATH", "delete the objects of a file, a folder, or - for standard input; may be repeated"},
    {"namespace", 'n', "NS", "the namespace (default)"},
    {"ignore-not-found", 0, "", "what is not there is no error"},
    {"admin", 0, "ADDR", "the mesh's admin port (LATEEN_ADMIN, else 127.0.0.1:15000)"},
};
constexpr Usage kDeleteUsage{
    .synopsis = "lateen delete (-f PATH | KIND NAME...) [flags]",
    .text = "Deletes objects that were applied. Objects of files that the mesh follows are deleted in their file.",
    .flags = kDeleteFlags,
    .examples = "  lateen delete -f virtualservice.yaml\n"
                "  lateen delete vs reviews-route\n"
                "  lateen delete dr/reviews-dr vs/reviews-route -n shop",
};

int failed(const Error& error) {
  std::fprintf(stderr, "Error: %s\n", to_string(error).c_str());
  return 1;
}

std::string text_of(const text::Node& node, std::string_view key) {
  const text::Node* found = node.find(key);
  return found == nullptr ? std::string() : std::string(found->text());
}

// What keeps an applied object from taking effect, and what to do about it.
void print_status(const text::Node& object, const std::string& path) {
  const ObjectRow row = read_row(object);
  if (row.standing == "in effect" && row.reason.empty()) return;
  std::string line = status_text(row);
  // Who owns its hosts says the warning that follows.
  if (row.standing == "NOT IN EFFECT" && row.kind == "VirtualService")
    line = row.standing + "; to make this one the owner: lateen apply --takeover -f " + (path == kStandardInput ? "-" : path);
  std::fprintf(stderr, "  %s\n", line.c_str());
}

// What a change did to objects that it does not name, by "kind namespace/name": a DestinationRule lets rules serve that
// waited for its subsets, and when it goes they wait again.
using Others = std::map<std::string, std::string>;

void add_others(const text::Node& outcome, Others& to) {
  const text::Node* others = outcome.find("others");
  if (others == nullptr) return;
  for (const text::Node& object : others->items) {
    const ObjectRow row = read_row(object);
    to[row.kind + " " + row.namespace_ + "/" + row.name] = row.resource + "/" + row.name + ": now " + status_text(row);
  }
}

void print_others(const Others& others, bool dry_run) {
  for (const auto& [key, text] : others) std::fprintf(stderr, "%s%s\n", text.c_str(), dry_run ? " (dry run)" : "");
}

// Whether everything of the file was taken.
bool print_outcome(const text::Node& outcome, const NamedText& file, bool dry_run) {
  if (const text::Node* objects = outcome.find("objects"))
    for (const text::Node& object : objects->items) {
      const std::string name = text_of(object, "resource") + "/" + text_of(object, "name");
      const std::string action = text_of(object, "action");
      if (action == "refused") {
        std::fprintf(stderr, "Error: %s %s/%s: %s\n", text_of(object, "kind").c_str(), text_of(object, "namespace").c_str(),
                     text_of(object, "name").c_str(), text_of(object, "reason").c_str());
        continue;
      }
      std::printf("%s %s%s\n", name.c_str(), action.c_str(), dry_run ? " (dry run)" : "");
      std::fflush(stdout);
      if (const std::string reason = text_of(object, "reason"); !reason.empty())
        std::fprintf(stderr, "Error: %s: %s\n", name.c_str(), reason.c_str());
      print_status(object, file.name);
    }
  Others others;
  add_others(outcome, others);
  print_others(others, dry_run);
  for (const Diagnostic& diagnostic : read_diagnostics(outcome.find("diagnostics")))
    std::fprintf(stderr, "%s\n", to_string(diagnostic).c_str());
  if (const text::Node* ignored = outcome.find("ignored"))
    for (const text::Node& one : ignored->items)
      std::fprintf(stderr, "ignored: %s %s (%s): a kind that means nothing to the mesh\n", text_of(one, "kind").c_str(),
                   text_of(one, "name").c_str(), text_of(one, "at").c_str());
  const text::Node* failed = outcome.find("failed");
  return failed == nullptr || failed->scalar != "true";
}

// The objects that files name. A document that cannot be read names none: said, and counted as a failure.
Result<std::vector<model::Key>> keys_of_files(std::span<const std::string> paths, bool& all_read) {
  LATEEN_TRY(const std::vector<NamedText> files, read_manifest_files(paths));
  std::vector<model::Key> keys;
  for (const NamedText& file : files) {
    const model::ReadResult read = model::read_manifests(file.text, file.name);
    for (const model::ObjectPtr& object : read.objects) keys.push_back(object->key());
    for (const Diagnostic& problem : read.problems) {
      if (problem.severity != Severity::kError) continue;
      std::fprintf(stderr, "%s\n", to_string(problem).c_str());
      all_read = false;
    }
  }
  return keys;
}

bool delete_one(const AdminClient& mesh, const model::Key& key, bool ignore_not_found, Others& others) {
  const std::string path = "/lateen/objects/" + std::string(model::names(key.kind).plural) + "/" +
                           percent_encoded(key.namespace_) + "/" + percent_encoded(key.name);
  const auto answer = mesh.call_json("DELETE", path);
  if (answer) {
    const text::Node* objects = answer->find("objects");
    const std::string resource = objects != nullptr && !objects->items.empty() ? text_of(objects->items.front(), "resource") : "";
    std::printf("%s \"%s\" deleted\n", resource.c_str(), key.name.c_str());
    std::fflush(stdout);
    add_others(*answer, others);
    others.erase(model::to_string(key));
    return true;
  }
  if (answer.error().code == ErrorCode::kNotFound && answer.error().message.ends_with("not found")) {
    if (ignore_not_found) return true;
    std::fprintf(stderr, "Error from server (NotFound): %s \"%s\" not found\n", plural_resource(key.kind).c_str(), key.name.c_str());
    return false;
  }
  failed(answer.error());
  return false;
}

}  // namespace

int run_apply(Args args) {
  const auto flags = parse_flags(args, kApplyFlags);
  if (!flags) return usage_error(kApplyUsage, flags.error().message);
  if (flags->help) {
    std::fputs(to_text(kApplyUsage).c_str(), stdout);
    return 0;
  }
  std::vector<std::string> paths(flags->all("filename").begin(), flags->all("filename").end());
  if (paths.empty()) return usage_error(kApplyUsage, "-f PATH is missing");
  paths.insert(paths.end(), flags->positional.begin(), flags->positional.end());
  const auto files = read_manifest_files(paths);
  if (!files) return failed(files.error());
  const AdminClient mesh(flags->get("admin", ""));
  const bool dry_run = flags->has("dry-run");
  bool all_taken = true;
  for (const NamedText& file : *files) {
    Query query{{"file", file.name}};
    if (flags->has("takeover")) query.emplace_back("takeover", "true");
    if (dry_run) query.emplace_back("dry-run", "true");
    const auto outcome = mesh.call_json("POST", "/lateen/apply", query, file.text);
    if (!outcome) return failed(outcome.error());
    all_taken &= print_outcome(*outcome, file, dry_run);
  }
  return all_taken ? 0 : 1;
}

int run_delete(Args args) {
  const auto flags = parse_flags(args, kDeleteFlags);
  if (!flags) return usage_error(kDeleteUsage, flags.error().message);
  if (flags->help) {
    std::fputs(to_text(kDeleteUsage).c_str(), stdout);
    return 0;
  }
  const std::string namespace_ = flags->get("namespace", "default");
  std::vector<model::Key> keys;
  bool all_done = true;
  if (flags->has("filename")) {
    if (!flags->positional.empty()) return usage_error(kDeleteUsage, "give -f PATH or KIND NAME, not both");
    auto found = keys_of_files(flags->all("filename"), all_done);
    if (!found) return failed(found.error());
    keys = *std::move(found);
  } else {
    const auto wanted = parse_wanted(flags->positional, namespace_);
    if (!wanted) return usage_error(kDeleteUsage, wanted.error().message);
    keys = wanted->keys;
    for (const std::string& name : wanted->names) keys.push_back({wanted->kinds.front(), namespace_, name});
    if (keys.empty()) return usage_error(kDeleteUsage, "NAME is missing");
  }
  const AdminClient mesh(flags->get("admin", ""));
  Others others;
  for (const model::Key& key : keys) all_done &= delete_one(mesh, key, flags->has("ignore-not-found"), others);
  print_others(others, false);
  return all_done ? 0 : 1;
}

}  // namespace lateen::cli
