#include <algorithm>
#include <cstdio>

#include "admin/json.h"
#include "analyze/analyze.h"
#include "cli/admin_client.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/mesh_files.h"
#include "cli/offline_mesh.h"

namespace lateen::cli {

namespace {

constexpr Flag kFlags[] = {
    {"filename", 'f', "PATH", "the same as PATH; may be repeated"},
    {"output", 'o', "FORM", "json, or text (default)"},
    {"compat", 0, "MODE", "lateen (default) or istio: whose behaviour the findings are about"},
    {"mesh-config", 0, "F", "Istio's mesh.yaml"},
    {"admin", 0, "ADDR", "without PATH: the running mesh's admin port (LATEEN_ADMIN, else 127.0.0.1:15000)"},
};
constexpr Usage kUsage{
    .synopsis = "lateen analyze [PATH...] [flags]",
    .text = "Says what is wrong or doubtful in manifests, each finding with its place and what to write instead.\n"
            "Without PATH the running mesh is looked at. Ends with 0 if there is no error (warnings do not count), else 1.",
    .flags = kFlags,
    .examples = "  lateen analyze virtualservice.yaml\n"
                "  lateen analyze mesh/ -o json\n"
                "  cat rules.yaml | lateen analyze -",
};

int print_findings(const std::vector<Diagnostic>& findings, const std::vector<model::Ignored>& ignored,
                   const std::string& form, const std::string& what) {
  if (form == "json") {
    std::string text;
    text::JsonWriter json(text, 2);
    admin::write(json, findings);
    std::printf("%s\n", text.c_str());
    return has_errors(findings) ? 1 : 0;
  }
  for (const Diagnostic& finding : findings) std::printf("%s\n", to_string(finding).c_str());
  for (const model::Ignored& one : ignored)
    std::printf("%s: ignored: %s %s: a kind that means nothing to the mesh\n", to_string(one.origin).c_str(),
                one.kind.c_str(), one.name.c_str());
  const auto count = [&](Severity severity) {
    return std::count_if(findings.begin(), findings.end(), [&](const Diagnostic& d) { return d.severity == severity; });
  };
  if (findings.empty())
    std::printf("no findings in %s\n", what.c_str());
  else
    std::printf("%td errors, %td warnings in %s\n", count(Severity::kError), count(Severity::kWarning), what.c_str());
  return has_errors(findings) ? 1 : 0;
}

int analyze_running(const ParsedFlags& flags) {
  const AdminClient mesh(flags.get("admin", ""));
  const auto answer = mesh.call_json("GET", "/lateen/analyze");
  if (!answer) {
    std::fprintf(stderr, "Error: %s\n", to_string(answer.error()).c_str());
    return 1;
  }
  return print_findings(read_diagnostics(answer->find("diagnostics")), {}, flags.get("output", "text"),
                        "the mesh at " + mesh.address());
}

bool before(const Diagnostic& a, const Diagnostic& b) {
  return std::tie(a.origin.file, a.origin.line, a.origin.column, a.code) <
         std::tie(b.origin.file, b.origin.line, b.origin.column, b.code);
}

}  // namespace

int run_analyze(Args args) {
  const auto flags = parse_flags(args, kFlags);
  if (!flags) return usage_error(kUsage, flags.error().message);
  if (flags->help) {
    std::fputs(to_text(kUsage).c_str(), stdout);
    return 0;
  }
  const std::string form = flags->get("output", "text");
  if (form != "text" && form != "json") return usage_error(kUsage, "-o " + form + ": write json or text");
  const std::string mode = flags->get("compat", "lateen");
  if (mode != "lateen" && mode != "istio") return usage_error(kUsage, "--compat " + mode + ": write lateen or istio");
  std::vector<std::string> paths = flags->positional;
  paths.insert(paths.end(), flags->all("filename").begin(), flags->all("filename").end());
  if (paths.empty()) return analyze_running(*flags);
  const auto config = read_mesh_config_file(flags->get("mesh-config", ""));
  if (!config) return usage_error(kUsage, to_string(config.error()));
  const auto mesh = load_offline(paths, *config);
  if (!mesh) return usage_error(kUsage, mesh.error().message);
  std::vector<Diagnostic> findings = mesh->problems;
  const auto found = analyze::analyze(mesh->admission.mesh, mode == "istio" ? translate::Compat::kIstio : translate::Compat::kLateen);
  findings.insert(findings.end(), found.begin(), found.end());
  std::stable_sort(findings.begin(), findings.end(), before);
  return print_findings(findings, mesh->ignored, form, mesh->files == 1 ? paths.front() : std::to_string(mesh->files) + " files");
}

}  // namespace lateen::cli
