// What istiod sends for every case of the golden corpus is compiled whole: nothing is refused, nothing is unsupported.
// LATEEN_GOLDEN_CASES names another corpus, in the corpus's own layout; then all notes are printed too.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "runtime/compile.h"
#include "runtime/resources_from_json.h"

namespace lateen::runtime {
namespace {

namespace pb = google::protobuf;
namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string json_of(const pb::Message& message) {
  std::string json;
  EXPECT_TRUE(pb::util::MessageToJsonString(message, &json).ok());
  return json;
}

// "clusters/NAME", "endpoints/NAME", "listeners/NAME", "routes/TABLE" (without virtual hosts), "routes/TABLE/VIRTUAL_HOST".
void add_piece(const std::string& key, const std::string& json, xds::Resources& out) {
  const std::string list = "[" + json + "]";
  if (key.starts_with("clusters/")) return add_clusters(list, out);
  if (key.starts_with("endpoints/")) return add_endpoints(list, out);
  if (key.starts_with("listeners/")) return add_listeners(list, out);
  const std::size_t slash = key.find('/', std::string_view("routes/").size());
  const std::string table = key.substr(std::string_view("routes/").size(), slash == std::string::npos ? slash : slash - std::string_view("routes/").size());
  xds::RouteConfigurationParts& parts = out.routes[table];
  if (slash == std::string::npos) {
    parts.shell = xds::make_resource(table, from_json<envoy::config::route::v3::RouteConfiguration>(json));
    return;
  }
  const auto host = from_json<envoy::config::route::v3::VirtualHost>(json);
  parts.virtual_hosts.push_back(xds::make_resource(host.name(), host));
}

xds::Resources read_case(const fs::path& folder) {
  xds::Resources out;
  if (fs::exists(folder / "expected.json")) {
    const auto pieces = from_json<pb::Struct>(read_file(folder / "expected.json"));
    for (const auto& [key, value] : pieces.fields())
      if (value.has_struct_value()) add_piece(key, json_of(value), out);
    envoy::config::route::v3::RouteConfiguration shell;
    for (auto& [name, parts] : out.routes) {
      shell.set_name(name);
      if (parts.shell == nullptr) parts.shell = xds::make_resource(name, shell);
    }
    return out;
  }
  const auto with = [&](const char* name, void (*add)(const std::string&, xds::Resources&)) {
    if (fs::exists(folder / name)) add(read_file(folder / name), out);
  };
  with("clusters.json", add_clusters);
  with("endpoints.json", add_endpoints);
  with("listeners.json", add_listeners);
  with("routes.json", add_routes);
  return out;
}

std::vector<fs::path> all_cases() {
  const char* other = std::getenv("LATEEN_GOLDEN_CASES");
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(other != nullptr ? fs::path(other) : fs::path(LATEEN_SOURCE_DIR) / "tests" / "golden" / "cases"))
    // Group 9, security and telemetry, is not carried yet.
    if (entry.is_directory() && entry.path().filename().string()[0] >= '0' && entry.path().filename().string()[0] <= '8') out.push_back(entry.path());
  return out;
}

// Filters for which there is no word of traffic to say: what is told of them is expected.
bool is_expected(const std::string& note) {
  return note.find("it has a meaning only between proxies of Istio's own build") != std::string::npos ||
         note.find("takes no connections: it is for a client inside a process") != std::string::npos;
}

TEST(Golden, EveryCaseIsCompiledWhole) {
  const std::vector<fs::path> cases = all_cases();
  ASSERT_GT(cases.size(), 50u);
  std::map<std::string, int> notes;
  for (const fs::path& folder : cases) {
    const xds::Resources resources = read_case(folder);
    ClusterNames names;
    const Compiled compiled = compile(resources, nullptr, names);
    for (const Error& error : compiled.refused) ADD_FAILURE() << folder.filename().string() << ": refused: " << error.message;
    for (const Error& note : compiled.notes) {
      ++notes[note.message];
      EXPECT_TRUE(is_expected(note.message)) << folder.filename().string() << ": " << note.message;
    }
    for (const auto& cluster : compiled.snapshot->clusters) EXPECT_EQ(cluster == nullptr ? "" : cluster->unsupported, "") << folder.filename().string();
  }
  if (std::getenv("LATEEN_GOLDEN_CASES") == nullptr) return;
  for (const auto& [note, times] : notes) std::printf("%5d %s\n", times, note.c_str());
}

}  // namespace
}  // namespace lateen::runtime
