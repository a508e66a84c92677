// An explanation as text for a terminal, and as JSON.

#include <algorithm>

#include "analyze/analyze.h"
#include "text/json_writer.h"

namespace lateen::analyze {
namespace {

constexpr std::string_view kBold = "\x1b[1m", kGreen = "\x1b[32m", kRed = "\x1b[31m", kDim = "\x1b[2m", kPlain = "\x1b[0m";

// Rows whose columns are as wide as their widest cell. Colour does not count as width.
class Table {
 public:
  struct Cell {
    std::string text;
    std::string_view colour = {};
  };
  void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }

  void print(std::string& out, bool colour) const {
    std::vector<std::size_t> widths;
    for (const auto& row : rows_)
      for (std::size_t i = 0; i + 1 < row.size(); ++i) {
        if (i == widths.size()) widths.push_back(0);
        widths[i] = std::max(widths[i], row[i].text.size());
      }
    for (const auto& row : rows_) {
      std::string line = "  ";
      for (std::size_t i = 0; i < row.size(); ++i) {
        const bool coloured = colour && !row[i].colour.empty();
        if (coloured) line += row[i].colour;
        line += row[i].text;
        if (coloured) line += kPlain;
        if (i + 1 < row.size()) line.append(widths[i] - row[i].text.size() + 2, ' ');
      }
      line.erase(line.find_last_not_of(' ') + 1);
      out += line + '\n';
    }
  }

 private:
  std::vector<std::vector<Cell>> rows_;
};

std::string place(const Origin& origin) {
  if (origin.file.empty()) return origin.object;
  return origin.line == 0 ? origin.file : origin.file + ":" + std::to_string(origin.line);
}

void title(std::string& out, std::string_view text, bool colour) {
  out += '\n';
  if (colour) out += kBold;
  out += text;
  if (colour) out += kPlain;
  out += '\n';
}

void print_rules(const Explanation& explanation, std::string& out, bool colour) {
  if (explanation.rules.empty()) return;
  title(out, "Rules" + (explanation.virtual_host.empty() ? "" : " of " + explanation.virtual_host), colour);
  Table table;
  for (const Explanation::Rule& rule : explanation.rules) {
    const std::string where = rule.origin.object.empty() ? "Istio's default" : place(rule.origin);
    table.add({{rule.taken ? "YES" : "no", rule.taken ? kGreen : kDim}, {where}, {rule.name}, {rule.taken ? "" : rule.why, kDim}});
  }
  table.print(out, colour);
}

void print_destinations(const Explanation& explanation, std::string& out, bool colour) {
  if (explanation.destinations.empty()) return;
  title(out, explanation.destinations.size() == 1 ? "Destination" : "Destinations", colour);
  Table table;
  for (const Explanation::Destination& destination : explanation.destinations) {
    std::vector<Table::Cell> row{{destination.cluster}};
    if (!destination.share.empty()) row.push_back({destination.share});
    row.push_back({place(destination.origin)});
    row.push_back({destination.problem, kRed});
    table.add(std::move(row));
    for (const EndpointState& endpoint : destination.endpoints) {
      const std::string state = endpoint.healthy ? "healthy" : endpoint.why.empty() ? "unhealthy" : endpoint.why;
      table.add({{"  " + endpoint.address}, {state, endpoint.healthy ? kGreen : kRed}});
    }
  }
  table.print(out, colour);
}

void print_settings(const Explanation& explanation, std::string& out, bool colour) {
  if (explanation.settings.empty()) return;
  title(out, "Settings", colour);
  // A value can be long; so where it came from stands before it, and what there is to say of it below.
  Table table;
  for (const Explanation::Setting& setting : explanation.settings) {
    const bool is_default = setting.origin.object.empty();
    table.add({{setting.name}, {is_default ? "Istio's default" : place(setting.origin)}, {setting.value}});
    if (!setting.note.empty() && !is_default) table.add({{""}, {""}, {setting.note, kDim}});
  }
  table.print(out, colour);
}

void write_origin(text::JsonWriter& json, const Origin& origin) {
  json.key("origin").begin_object();
  json.member("file", origin.file).member("line", origin.line).member("column", origin.column);
  json.member("object", origin.object).member("field", origin.field_path).end_object();
}

void write_destinations(text::JsonWriter& json, const Explanation& explanation) {
  json.key("destinations").begin_array();
  for (const Explanation::Destination& destination : explanation.destinations) {
    json.begin_object().member("cluster", destination.cluster).member("subset", destination.subset).member("share", destination.share);
    json.member("problem", destination.problem);
    write_origin(json, destination.origin);
    json.key("endpoints").begin_array();
    for (const EndpointState& endpoint : destination.endpoints)
      json.begin_object().member("address", endpoint.address).member("healthy", endpoint.healthy).member("why", endpoint.why).end_object();
    json.end_array().end_object();
  }
  json.end_array();
}

}  // namespace

std::string to_text(const Explanation& explanation, bool colour) {
  std::string out = explanation.method + " " + explanation.url + " from " + explanation.view + ": ";
  if (colour) out += kBold;
  out += explanation.outcome;
  if (colour) out += kPlain;
  out += '\n';
  print_rules(explanation, out, colour);
  print_destinations(explanation, out, colour);
  print_settings(explanation, out, colour);
  if (!explanation.notes.empty()) out += '\n';
  for (const std::string& note : explanation.notes) out += "Note: " + note + '\n';
  return out;
}

std::string to_json(const Explanation& explanation) {
  std::string out;
  text::JsonWriter json(out, 2);
  json.begin_object().member("method", explanation.method).member("url", explanation.url).member("view", explanation.view);
  json.member("outcome", explanation.outcome).member("host", explanation.host).member("routeTable", explanation.route_table);
  json.member("virtualHost", explanation.virtual_host).member("cluster", explanation.cluster).member("subset", explanation.subset);
  json.key("rules").begin_array();
  for (const Explanation::Rule& rule : explanation.rules) {
    json.begin_object().member("taken", rule.taken).member("name", rule.name).member("why", rule.why);
    write_origin(json, rule.origin);
    json.end_object();
  }
  json.end_array();
  write_destinations(json, explanation);
  json.key("settings").begin_array();
  for (const Explanation::Setting& setting : explanation.settings) {
    json.begin_object().member("name", setting.name).member("value", setting.value).member("note", setting.note);
    write_origin(json, setting.origin);
    json.end_object();
  }
  json.end_array().key("notes").begin_array();
  for (const std::string& note : explanation.notes) json.string(note);
  json.end_array().end_object();
  return out;
}

}  // namespace lateen::analyze
