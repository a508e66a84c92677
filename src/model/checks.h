// Checks on single values, named in the field tables. Each reports what is wrong and what to write instead.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "model/reader.h"
#include "model/virtual_service.h"

namespace lateen::model {

template <class Number>
void not_negative(Reader& reader, const Number& value) {
  if (value < 0) reader.error(kBadValue, std::to_string(value) + " is negative", "write 0 or more");
}

void at_least_1ms(Reader& reader, const Duration& value);          // ValidateDuration of istiod
void at_least_1ms_or_zero(Reader& reader, const Duration& value);
void timeout_at_least_1ms(Reader& reader, const Duration& value);  // says that no timeout is the default
void not_negative_duration(Reader& reader, const Duration& value);
void port_number(Reader& reader, const std::uint32_t& value);      // 1..65535
void percent_0_100(Reader& reader, const std::int32_t& value);
void percentage(Reader& reader, const double& value);              // 0, or 0.0001..100
void percentage_0_100(Reader& reader, const double& value);
void not_empty(Reader& reader, const std::string& value);
void subset_name(Reader& reader, const std::string& value);
void namespace_name(Reader& reader, const std::string& value);
void port_name(Reader& reader, const std::string& value);
void destination_host(Reader& reader, const std::string& value);   // may be a wildcard, never `*` alone
void rule_host(Reader& reader, const std::string& value);          // of a DestinationRule
void ip_subnet(Reader& reader, const std::string& value);
void gateway_name(Reader& reader, const std::string& value);       // name, namespace/name, mesh
void regex(Reader& reader, const std::string& value);              // RE2, at most 1024 bytes
void http_status(Reader& reader, const std::uint32_t& value);      // 200..599
void grpc_status(Reader& reader, const std::string& value);
void retry_on(Reader& reader, const std::string& value);
void header_value(Reader& reader, const std::string& value);
void header_name(Reader& reader, const std::string& value);
void cors_header_name(Reader& reader, const std::string& value);
void http_method(Reader& reader, const std::string& value);
void selector_labels(Reader& reader, const std::map<std::string, std::string>& labels);  // keys and values of Kubernetes labels
void workload_selector(Reader& reader, const std::map<std::string, std::string>& labels);
void protocol_word(Reader& reader, const std::string& value);

// Depends on the object's namespace, for "." beside the namespace's own name.
void check_export_to(Reader& reader, const std::vector<std::string>& export_to, std::string_view own_namespace, bool none_allowed);

// Canonical protocol of Istio's word, whatever its case ("http" -> "HTTP", "grpc-web" -> "GRPC-WEB"); "" if there is none.
std::string parse_protocol(std::string_view word);

}  // namespace lateen::model
