#include <cstdio>

#include "analyze/analyze.h"
#include "cli/admin_client.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/gateway_workloads.h"
#include "cli/mesh_files.h"
#include "cli/mesh_views.h"
#include "cli/offline_mesh.h"
#include "cli/table.h"
#include "runtime/compile.h"

namespace lateen::cli {

namespace {

constexpr Flag kFlags[] = {
    {"as", 0, "WORKLOAD", "who asks: [NAMESPACE/]NAME of a workload, or of a gateway"},
    {"header", 'H', "NAME:VALUE", "a header of the request; may be repeated"},
    {"filename", 'f', "PATH", "explain files instead of the running mesh; may be repeated"},
    {"output", 'o', "FORM", "json, or text (default)"},
    {"compat", 0, "MODE", "with -f: lateen (default) or istio"},
    {"mesh-config", 0, "F", "with -f: Istio's mesh.yaml"},
    {"admin", 0, "ADDR", "the mesh's admin port (LATEEN_ADMIN, else 127.0.0.1:15000)"},
};
constexpr Usage kUsage{
    .synopsis = "lateen explain [--as WORKLOAD] [-H NAME:VALUE]... METHOD URL",
    .text = "Says which rule takes a request, why each other one does not, where the request goes, and which timeout,\n"
            "tries, faults and limits hold for it, each with the line that it came from.",
    .flags = kFlags,
    .examples = "  lateen explain GET http://reviews:9080/reviews/1\n"
                "  lateen explain --as sleep -H 'end-user: jason' GET http://reviews:9080/reviews/1\n"
                "  lateen explain --as istio-ingressgateway GET http://shop.example/cart\n"
                "  lateen explain -f mesh/ GET http://reviews:9080/",
};

int failed(const Error& error) {
  std::fprintf(stderr, "Error: %s\n", to_string(error).c_str());
  return 1;
}

Result<analyze::ExplainRequest> request_of(const ParsedFlags& flags, const std::string& method, const std::string& url) {
  analyze::ExplainRequest request;
  request.method = method;
  request.url = url;
  for (const std::string& header : flags.all("header")) {
    const std::size_t colon = header.find(':');
    if (colon == std::string::npos || colon == 0) return fail(ErrorCode::kInvalidConfig, "-H " + header + ": write NAME:VALUE");
    const std::size_t value = header.find_first_not_of(' ', colon + 1);
    request.headers.emplace_back(header.substr(0, colon), value == std::string::npos ? "" : header.substr(value));
  }
  return request;
}

// curl's habit: the method may be left out.
struct Target {
  std::string method = "GET", url;
};
Result<Target> target_of(const std::vector<std::string>& words) {
  Target target;
  if (words.size() == 1) {
    target.url = words[0];
  } else if (words.size() == 2) {
    target.method = words[0];
    target.url = words[1];
  } else {
    return fail(ErrorCode::kInvalidConfig, words.empty() ? "METHOD URL is missing" : "more than METHOD and URL was given");
  }
  if (target.url.find("://") == std::string::npos) target.url = "http://" + target.url;
  return target;
}

int explain_files(const ParsedFlags& flags, const analyze::ExplainRequest& request) {
  const auto config = read_mesh_config_file(flags.get("mesh-config", ""));
  if (!config) return failed(config.error());
  const std::vector<std::string> paths(flags.all("filename").begin(), flags.all("filename").end());
  const auto loaded = load_offline(paths, *config);
  if (!loaded) return failed(loaded.error());
  for (const Diagnostic& problem : loaded->problems)
    if (problem.severity == Severity::kError) std::fprintf(stderr, "%s\n", to_string(problem).c_str());
  const auto identity = parse_identity(flags.get("as", ""));
  if (!identity) return failed(identity.error());
  const model::Mesh& mesh = loaded->admission.mesh;
  const std::optional<translate::View> gateway = find_gateway_view(mesh, flags.get("as", ""));
  const translate::View view = gateway ? *gateway : resolve_view(*identity, mesh);
  translate::Options options;
  options.compat = flags.get("compat", "lateen") == "istio" ? translate::Compat::kIstio : translate::Compat::kLateen;
  const translate::Translation translation = translate::translate(mesh, view, options);
  runtime::ClusterNames names;
  const runtime::Compiled compiled = runtime::compile(translation.resources, nullptr, names);
  const analyze::Explanation explanation = analyze::explain(mesh, translation, *compiled.snapshot, view, request, {});
  if (flags.get("output", "text") == "json")
    std::printf("%s\n", analyze::to_json(explanation).c_str());
  else
    std::fputs(analyze::to_text(explanation, colour_on_stdout()).c_str(), stdout);
  return 0;
}

int explain_running(const ParsedFlags& flags, const analyze::ExplainRequest& request) {
  Query query{{"method", request.method}, {"url", request.url}, {"as", flags.get("as", "")}};
  for (const auto& [name, value] : request.headers) query.emplace_back("header", name + ":" + value);
  query.emplace_back("format", flags.get("output", "text"));
  if (colour_on_stdout()) query.emplace_back("colour", "true");
  const AdminClient mesh(flags.get("admin", ""));
  const auto text = mesh.call("GET", "/lateen/explain", query);
  if (!text) return failed(text.error());
  std::fputs(text->c_str(), stdout);
  return 0;
}

}  // namespace

int run_explain(Args args) {
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
  const auto target = target_of(flags->positional);
  if (!target) return usage_error(kUsage, target.error().message);
  const auto request = request_of(*flags, target->method, target->url);
  if (!request) return usage_error(kUsage, request.error().message);
  return flags->has("filename") ? explain_files(*flags, *request) : explain_running(*flags, *request);
}

}  // namespace lateen::cli
