#include "proxy/metrics_text.h"

#include <algorithm>
#include <charconv>

namespace lateen::proxy {

namespace {

// Shortest, and never in scientific form: Envoy writes le="3600000".
void append_number(std::string& text, double number) {
  char digits[64];
  const auto end = std::to_chars(digits, digits + sizeof digits, number, std::chars_format::fixed);
  if (end.ec == std::errc()) text.append(digits, end.ptr);
}

void append_series(std::string& text, std::string_view name, std::string_view labels, std::string_view value) {
  text += name;
  text += '{';
  text += labels;
  text += "} ";
  text += value;
  text += '\n';
}

void append_histogram(std::string& text, const std::string& name, const std::string& labels, const HistogramSum& sum) {
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < sum.buckets.size(); ++i) {
    count += sum.buckets[i];
    std::string with_bound = labels + (labels.empty() ? "" : ",") + "le=\"";
    if (i < kHistogramBounds.size()) {
      append_number(with_bound, kHistogramBounds[i]);
    } else {
      with_bound += "+Inf";
    }
    append_series(text, name + "_bucket", with_bound + "\"", std::to_string(count));
  }
  std::string total;
  append_number(total, sum.sum);
  append_series(text, name + "_sum", labels, total);
  append_series(text, name + "_count", labels, std::to_string(count));
}

void append_type(std::string& text, std::string_view name, std::string_view type) {
  text += "# TYPE ";
  text += name;
  text += ' ';
  text += type;
  text += '\n';
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

void HistogramSum::add(const Histogram& histogram) {
  for (std::size_t i = 0; i < buckets.size(); ++i) buckets[i] += histogram.bucket(i);
  sum += histogram.sum();
}

void append_label(std::string& labels, std::string_view name, std::string_view value) {
  if (!labels.empty()) labels += ',';
  labels += name;
  labels += "=\"";
  for (char c : value) {
    if (c == '\\' || c == '"') labels += '\\';
    if (c == '\n') {
      labels += "\\n";
    } else {
      labels += c;
    }
  }
  labels += '"';
}

void PrometheusText::add(Values& values, std::string_view name, std::string_view labels, std::uint64_t value) {
  auto found = values.find(name);
  if (found == values.end()) found = values.emplace(name, std::map<std::string, std::uint64_t>()).first;
  found->second[std::string(labels)] += value;
}

HistogramSum& PrometheusText::histogram(std::string_view name, std::string_view labels) {
  return histograms_[std::string(name)][std::string(labels)];
}

void PrometheusText::write(std::string& text, const Values& values, std::string_view type) {
  for (const auto& [name, by_labels] : values) {
    append_type(text, name, type);
    for (const auto& [labels, value] : by_labels) append_series(text, name, labels, std::to_string(value));
  }
}

std::string PrometheusText::text() const {
  std::string text;
  write(text, counters_, "counter");
  write(text, gauges_, "gauge");
  for (const auto& [name, by_labels] : histograms_) {
    append_type(text, name, "histogram");
    for (const auto& [labels, sum] : by_labels) append_histogram(text, name, labels, sum);
  }
  return text;
}

void add_sample(PrometheusText& text, const Sample& sample) {
  std::string name = "envoy_" + std::string(sample.scope) + "_" + sample.name;
  std::replace(name.begin(), name.end(), '.', '_');
  std::string labels;
  const std::size_t last = name.rfind('_');
  const std::string_view end = std::string_view(name).substr(last + 1);
  if (name.substr(0, last).ends_with("_rq") && end.size() == 3 && is_digit(end[0])) {
    if (end.substr(1) == "xx") {
      append_label(labels, "envoy_response_code_class", end.substr(0, 1));
      name = name.substr(0, last) + "_xx";
    } else if (is_digit(end[1]) && is_digit(end[2])) {
      append_label(labels, "envoy_response_code", end);
      name = name.substr(0, last);
    }
  }
  if (sample.scope == "cluster") append_label(labels, "envoy_cluster_name", sample.instance);
  if (sample.scope == "listener") append_label(labels, "envoy_listener_address", sample.instance);
  if (sample.scope == "http") append_label(labels, "envoy_http_conn_manager_prefix", sample.instance);
  if (sample.gauge) {
    text.gauge(name, labels, sample.value);
  } else {
    text.counter(name, labels, sample.value);
  }
}

std::string stat_name(const Sample& sample) {
  std::string name(sample.scope);
  if (!sample.instance.empty()) name += "." + sample.instance;
  return name + "." + sample.name;
}

}  // namespace lateen::proxy
