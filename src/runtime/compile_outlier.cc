// Outlier detection: envoy.config.cluster.v3.OutlierDetection.

#include <envoy/config/cluster/v3/outlier_detection.pb.h>

#include <algorithm>

#include "runtime/compile_cluster.h"

namespace lateen::runtime {
namespace {

constexpr std::uint32_t kPercentMax = 100;
// Envoy's default of enforcing_success_rate; istiod always sends 0.
constexpr std::uint32_t kEnforcingSuccessRateDefault = 100;

class Reader {
 public:
  explicit Reader(Fields& fields) : fields_(fields) {}

  template <class Wrapper>
  void number(bool has, const Wrapper& value, std::uint32_t& out) {
    if (has) out = value.value();
  }
  template <class Wrapper>
  void percent(std::string_view name, bool has, const Wrapper& value, std::uint32_t& out) {
    if (!has) return;
    const Fields::At at(fields_, name);
    out = value.value();
    if (out > kPercentMax) fields_.refuse("must not be more than 100");
  }
  template <class Proto>
  void time(std::string_view name, bool has, const Proto& value, Duration& out) {
    if (!has) return;
    const Fields::At at(fields_, name);
    out = fields_.duration(value);
    if (out <= Duration::zero()) fields_.refuse("must be more than 0");
  }

 private:
  Fields& fields_;
};

// Detection by rates is not carried out; it is only fine while it is not enforced.
void note_rates(const envoy::config::cluster::v3::OutlierDetection& proto, bool split, Fields& fields) {
  const auto not_enforced = [&](std::string_view name, std::uint32_t value) {
    const Fields::At at(fields, name);
    if (value != 0) fields.note("detection by rates is not carried out");
  };
  not_enforced("enforcing_success_rate",
               proto.has_enforcing_success_rate() ? proto.enforcing_success_rate().value() : kEnforcingSuccessRateDefault);
  if (split)
    not_enforced("enforcing_local_origin_success_rate", proto.has_enforcing_local_origin_success_rate()
                                                            ? proto.enforcing_local_origin_success_rate().value()
                                                            : kEnforcingSuccessRateDefault);
  not_enforced("enforcing_failure_percentage", proto.enforcing_failure_percentage().value());
  if (split) not_enforced("enforcing_failure_percentage_local_origin", proto.enforcing_failure_percentage_local_origin().value());
}

}  // namespace

OutlierDetection compile_outlier_detection(const envoy::config::cluster::v3::OutlierDetection& proto, Fields& fields) {
  fields.only(proto, {proto.kConsecutive5XxFieldNumber, proto.kIntervalFieldNumber, proto.kBaseEjectionTimeFieldNumber,
                      proto.kMaxEjectionPercentFieldNumber, proto.kEnforcingConsecutive5XxFieldNumber,
                      proto.kConsecutiveGatewayFailureFieldNumber, proto.kEnforcingConsecutiveGatewayFailureFieldNumber,
                      proto.kConsecutiveLocalOriginFailureFieldNumber, proto.kEnforcingConsecutiveLocalOriginFailureFieldNumber,
                      proto.kSplitExternalLocalOriginErrorsFieldNumber, proto.kMaxEjectionTimeFieldNumber,
                      proto.kAlwaysEjectOneHostFieldNumber,
                      // by rates: see note_rates
                      proto.kEnforcingSuccessRateFieldNumber, proto.kEnforcingLocalOriginSuccessRateFieldNumber,
                      proto.kEnforcingFailurePercentageFieldNumber, proto.kEnforcingFailurePercentageLocalOriginFieldNumber,
                      proto.kSuccessRateMinimumHostsFieldNumber, proto.kSuccessRateRequestVolumeFieldNumber,
                      proto.kSuccessRateStdevFactorFieldNumber, proto.kFailurePercentageThresholdFieldNumber,
                      proto.kFailurePercentageMinimumHostsFieldNumber, proto.kFailurePercentageRequestVolumeFieldNumber,
                      // there are no active health checks that could bring a host back
                      proto.kSuccessfulActiveHealthCheckUnejectHostFieldNumber});
  OutlierDetection out;
  Reader read(fields);
  read.number(proto.has_consecutive_5xx(), proto.consecutive_5xx(), out.consecutive_5xx);
  read.percent("enforcing_consecutive_5xx", proto.has_enforcing_consecutive_5xx(), proto.enforcing_consecutive_5xx(), out.enforcing_consecutive_5xx);
  read.number(proto.has_consecutive_gateway_failure(), proto.consecutive_gateway_failure(), out.consecutive_gateway_failure);
  read.percent("enforcing_consecutive_gateway_failure", proto.has_enforcing_consecutive_gateway_failure(),
               proto.enforcing_consecutive_gateway_failure(), out.enforcing_consecutive_gateway_failure);
  read.number(proto.has_consecutive_local_origin_failure(), proto.consecutive_local_origin_failure(), out.consecutive_local_origin_failure);
  read.percent("enforcing_consecutive_local_origin_failure", proto.has_enforcing_consecutive_local_origin_failure(),
               proto.enforcing_consecutive_local_origin_failure(), out.enforcing_consecutive_local_origin_failure);
  read.percent("max_ejection_percent", proto.has_max_ejection_percent(), proto.max_ejection_percent(), out.max_ejection_percent);
  out.split_external_local_origin_errors = proto.split_external_local_origin_errors();
  read.time("interval", proto.has_interval(), proto.interval(), out.interval);
  read.time("base_ejection_time", proto.has_base_ejection_time(), proto.base_ejection_time(), out.base_ejection_time);
  // The longer of 300 s and the base time, unless given (Envoy).
  out.max_ejection_time = std::max<Duration>(out.max_ejection_time, out.base_ejection_time);
  read.time("max_ejection_time", proto.has_max_ejection_time(), proto.max_ejection_time(), out.max_ejection_time);
  out.always_eject_one_host = proto.always_eject_one_host().value();
  note_rates(proto, out.split_external_local_origin_errors, fields);
  return out;
}

}  // namespace lateen::runtime
