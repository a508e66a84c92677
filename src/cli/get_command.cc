#include <algorithm>
#include <cstdio>

#include "cli/admin_client.h"
#include "cli/commands.h"
#include "cli/describe_text.h"
#include "cli/flags.h"
#include "cli/object_rows.h"
#include "cli/table.h"
#include "model/read.h"

namespace lateen::cli {

namespace {

constexpr Flag kGetFlags[] = {
    {"namespace", 'n', "NS", "the namespace (default)"},
    {"all-namespaces", 'A', "", "objects of every namespace"},
    {"output", 'o', "FORM", "yaml, json, wide or name"},
    {"filename", 'f', "PATH", "the objects of a file, a folder, or - for standard input; may be repeated"},
    {"ignore-not-found", 0, "", "what is not there is no error"},
    {"no-headers", 0, "", "a table without its first line"},
    {"admin", 0, "ADDR", "the mesh's admin port (LATEEN_ADMIN, else 127.0.0.1:15000)"},
};
constexpr Usage kGetUsage{
    .synopsis = "lateen get (KIND [NAME...] | KIND/NAME... | -f PATH) [flags]",
    .text = "Lists objects of the mesh. STATUS says whether each is in effect, and if not, why.\n"
            "Kinds: virtualservice (vs), destinationrule (dr), gateway (gw), serviceentry (se), workloadentry (we),\n"
            "service (svc), endpointslice, endpoints (ep), pod (po), namespace (ns), or all.",
    .flags = kGetFlags,
    .examples = "  lateen get vs\n"
                "  lateen get vs,dr -A -o wide\n"
                "  lateen get virtualservice reviews-route -o yaml",
};

constexpr Flag kDescribeFlags[] = {
    {"namespace", 'n', "NS", "the namespace (default)"},
    {"all-namespaces", 'A', "", "objects of every namespace"},
    {"filename", 'f', "PATH", "the objects of a file, a folder, or - for standard input; may be repeated"},
    {"admin", 0, "ADDR", "the mesh's admin port (LATEEN_ADMIN, else 127.0.0.1:15000)"},
};
constexpr Usage kDescribeUsage{
    .synopsis = "lateen describe (KIND [NAME...] | KIND/NAME... | -f PATH) [flags]",
    .text = "Shows everything about objects: where they come from, whether they are in effect, and their fields.",
    .flags = kDescribeFlags,
    .examples = "  lateen describe vs reviews-route\n  lateen describe dr/reviews-dr",
};

int failed(const Error& error) {
  std::fprintf(stderr, "Error: %s\n", to_string(error).c_str());
  return 1;
}

struct Found {
  std::vector<ObjectRow> rows;
  bool all = true;               // every object that was asked for by name is there
};

// Asks the mesh for one kind, or one object.
Result<std::vector<ObjectRow>> ask(const AdminClient& mesh, const Query& query) {
  LATEEN_TRY(const text::Node answer, mesh.call_json("GET", "/lateen/objects", query));
  std::vector<ObjectRow> rows;
  if (const text::Node* objects = answer.find("objects"))
    for (const text::Node& object : objects->items) rows.push_back(read_row(object));
  return rows;
}

Result<Wanted> wanted_of(const ParsedFlags& flags, const std::string& namespace_) {
  if (!flags.has("filename")) return parse_wanted(flags.positional, namespace_);
  if (!flags.positional.empty()) return fail(ErrorCode::kInvalidConfig, "give -f PATH or KIND, not both");
  LATEEN_TRY(const std::vector<NamedText> files, read_manifest_files(flags.all("filename")));
  Wanted wanted;
  for (const NamedText& file : files)
    for (const model::ObjectPtr& object : model::read_manifests(file.text, file.name).objects) wanted.keys.push_back(object->key());
  if (wanted.keys.empty()) return fail(ErrorCode::kNotFound, "the files have no object that can be read");
  return wanted;
}

Result<Found> find(const AdminClient& mesh, const Wanted& wanted, const ParsedFlags& flags) {
  const std::string namespace_ = flags.get("namespace", "default");
  std::vector<model::Key> keys = wanted.keys;
  for (const std::string& name : wanted.names) keys.push_back({wanted.kinds.front(), namespace_, name});
  Found found;
  for (const model::Key& key : keys) {
    LATEEN_TRY(std::vector<ObjectRow> rows, ask(mesh, {{"kind", std::string(model::names(key.kind).plural)},
                                                       {"namespace", key.namespace_}, {"name", key.name}, {"text", "true"}}));
    found.rows.insert(found.rows.end(), rows.begin(), rows.end());
    if (!rows.empty() || flags.has("ignore-not-found")) continue;
    std::fprintf(stderr, "Error from server (NotFound): %s \"%s\" not found\n", plural_resource(key.kind).c_str(), key.name.c_str());
    found.all = false;
  }
  if (!keys.empty()) return found;
  for (const model::Kind kind : wanted.kinds) {
    Query query{{"kind", std::string(model::names(kind).plural)}, {"text", "true"}};
    if (!flags.has("all-namespaces")) query.emplace_back("namespace", namespace_);
    LATEEN_TRY(std::vector<ObjectRow> rows, ask(mesh, query));
    found.rows.insert(found.rows.end(), rows.begin(), rows.end());
  }
  return found;
}

struct TableForm {
  bool namespaces = false, wide = false, headers = true, kinds = false;
};

// One table a kind, with an empty line between two, as kubectl does.
void print_tables(const std::vector<ObjectRow>& rows, const TableForm& form) {
  for (std::size_t first = 0; first < rows.size();) {
    std::vector<std::string> header;
    if (form.namespaces) header.emplace_back("NAMESPACE");
    header.emplace_back("NAME");
    for (const auto& [name, value] : rows[first].columns) header.push_back(name);
    header.insert(header.end(), {"AGE", "STATUS"});
    if (form.wide) header.emplace_back("SOURCE");
    Table table(header);
    std::size_t next = first;
    for (; next < rows.size() && rows[next].kind == rows[first].kind; ++next) {
      const ObjectRow& row = rows[next];
      std::vector<std::string> cells;
      if (form.namespaces) cells.push_back(row.namespace_);
      cells.push_back(form.kinds ? row.resource + "/" + row.name : row.name);
      for (const auto& [name, value] : row.columns) cells.push_back(value);
      cells.insert(cells.end(), {age_text(row.age_seconds), status_text(row)});
      if (form.wide) cells.push_back(source_text(row));
      table.add(std::move(cells));
    }
    std::string text = table.to_text();
    if (!form.headers) text.erase(0, text.find('\n') + 1);
    std::printf("%s%s", first == 0 ? "" : "\n", text.c_str());
    first = next;
  }
}

// Documents that gave no object at all are in no table.
void print_problems(const AdminClient& mesh) {
  const auto answer = mesh.call_json("GET", "/lateen/objects", {{"name", ""}});
  if (!answer) return;
  std::fflush(stdout);
  for (const Diagnostic& problem : read_diagnostics(answer->find("problems")))
    if (problem.severity == Severity::kError) std::fprintf(stderr, "%s\n", to_string(problem).c_str());
}

int print_rows(const AdminClient& mesh, const Found& found, const Wanted& wanted, const ParsedFlags& flags) {
  const std::string form = flags.get("output", "");
  const bool one = found.rows.size() == 1 && (!wanted.names.empty() || !wanted.keys.empty());
  if (form == "yaml") {
    std::fputs(objects_yaml(found.rows, one).c_str(), stdout);
  } else if (form == "json") {
    std::fputs(objects_json(found.rows, one).c_str(), stdout);
  } else if (form == "name") {
    for (const ObjectRow& row : found.rows) std::printf("%s/%s\n", row.resource.c_str(), row.name.c_str());
  } else {
    if (found.rows.empty() && found.all) {
      if (flags.has("all-namespaces"))
        std::fputs("No resources found\n", stderr);
      else
        std::fprintf(stderr, "No resources found in %s namespace.\n", flags.get("namespace", "default").c_str());
    }
    print_tables(found.rows, {.namespaces = flags.has("all-namespaces"), .wide = form == "wide",
                              .headers = !flags.has("no-headers"), .kinds = wanted.kinds.size() > 1 || wanted.keys.size() > 1});
    if (wanted.names.empty() && wanted.keys.empty()) print_problems(mesh);
  }
  return found.all ? 0 : 1;
}

}  // namespace

int run_get(Args args) {
  const auto flags = parse_flags(args, kGetFlags);
  if (!flags) return usage_error(kGetUsage, flags.error().message);
  if (flags->help) {
    std::fputs(to_text(kGetUsage).c_str(), stdout);
    return 0;
  }
  const std::string form = flags->get("output", "");
  if (!form.empty() && form != "yaml" && form != "json" && form != "wide" && form != "name")
    return usage_error(kGetUsage, "-o " + form + ": write yaml, json, wide or name");
  const auto wanted = wanted_of(*flags, flags->get("namespace", "default"));
  if (!wanted) return usage_error(kGetUsage, wanted.error().message);
  const AdminClient mesh(flags->get("admin", ""));
  const auto found = find(mesh, *wanted, *flags);
  if (!found) return failed(found.error());
  return print_rows(mesh, *found, *wanted, *flags);
}

int run_describe(Args args) {
  const auto flags = parse_flags(args, kDescribeFlags);
  if (!flags) return usage_error(kDescribeUsage, flags.error().message);
  if (flags->help) {
    std::fputs(to_text(kDescribeUsage).c_str(), stdout);
    return 0;
  }
  const auto wanted = wanted_of(*flags, flags->get("namespace", "default"));
  if (!wanted) return usage_error(kDescribeUsage, wanted.error().message);
  const AdminClient mesh(flags->get("admin", ""));
  const auto found = find(mesh, *wanted, *flags);
  if (!found) return failed(found.error());
  if (found->rows.empty() && found->all) std::fputs("No resources found\n", stderr);
  bool first = true;
  for (const ObjectRow& row : found->rows) {
    std::printf("%s%s", first ? "" : "\n\n", describe_text(row).c_str());
    first = false;
  }
  return found->all ? 0 : 1;
}

}  // namespace lateen::cli
