// PrometheusText: gathers samples and writes them in Prometheus' text form, in Envoy's order: counters, gauges,
// histograms, each by name. Samples of one name and one set of labels are summed.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "proxy/metrics.h"

namespace lateen::proxy {

// The sums of one histogram over workers.
struct HistogramSum {
  std::array<std::uint64_t, kHistogramBounds.size() + 1> buckets{};
  double sum = 0;

  void add(const Histogram& histogram);
};

// Appends `name="value"`, with a comma where `labels` is not empty; the value is escaped.
void append_label(std::string& labels, std::string_view name, std::string_view value);

class PrometheusText {
 public:
  void counter(std::string_view name, std::string_view labels, std::uint64_t value) { add(counters_, name, labels, value); }
  void gauge(std::string_view name, std::string_view labels, std::uint64_t value) { add(gauges_, name, labels, value); }
  // The sum that was filled before under this name and these labels, or a new one.
  HistogramSum& histogram(std::string_view name, std::string_view labels);

  std::string text() const;

 private:
  using Values = std::map<std::string, std::map<std::string, std::uint64_t>, std::less<>>;
  static void add(Values& values, std::string_view name, std::string_view labels, std::uint64_t value);
  static void write(std::string& text, const Values& values, std::string_view type);

  Values counters_, gauges_;
  std::map<std::string, std::map<std::string, HistogramSum>, std::less<>> histograms_;
};

// One of Envoy's counters or gauges before it is given a form: {"cluster", "outbound|80||a", "upstream_rq_total"}.
struct Sample {
  std::string_view scope;      // "cluster", "listener", "http", "server", "cluster_manager", "listener_manager"
  std::string instance;        // empty where the scope has one
  std::string name;
  std::uint64_t value = 0;
  bool gauge = false;
};

// "envoy_cluster_upstream_rq_xx{envoy_response_code_class="2",envoy_cluster_name="…"}": status codes and classes at the
// end of a name become labels, as Envoy's tag extraction does it.
void add_sample(PrometheusText& text, const Sample& sample);
// "cluster.outbound|80||a.upstream_rq_2xx"
std::string stat_name(const Sample& sample);

}  // namespace lateen::proxy
