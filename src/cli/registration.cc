#include "cli/registration.h"

#include "cli/json_reader.h"
#include "cli/json_text.h"

namespace lateen::cli {

std::string to_json(const Registration& registration) {
  return JsonObject()
      .add("service", registration.service)
      .add("namespace", registration.namespace_)
      .add("version", registration.version)
      .add("identity", registration.identity)
      .add("address", registration.address)
      .add("port", static_cast<std::int64_t>(registration.port))
      .add("servicePort", static_cast<std::int64_t>(registration.service_port))
      .add("protocol", registration.protocol)
      .add("labels", registration.labels)
      .text();
}

Result<Registration> parse_registration(std::string_view json) {
  if (json.size() > kRegistrationBytesMax) return fail(ErrorCode::kOverLimit, "a registration of more than 64 KiB");
  simdjson::dom::parser parser;
  LATEEN_TRY(const simdjson::dom::object object, parse_json_object(parser, json, "registration"));
  JsonMembers members(object, "registration");
  Registration registration;
  members.read("service", registration.service);
  members.read("namespace", registration.namespace_);
  members.read("version", registration.version);
  members.read("identity", registration.identity);
  members.read("address", registration.address);
  members.read("port", registration.port, 0, 65'535);
  members.read("servicePort", registration.service_port, 1, 65'535);
  members.read("protocol", registration.protocol);
  members.read("labels", registration.labels, kRegistrationLabelsMax);
  if (registration.identity.empty()) members.complain(ErrorCode::kInvalidConfig, "identity is missing");
  if (registration.namespace_.empty()) members.complain(ErrorCode::kInvalidConfig, "namespace is empty");
  if (!registration.service.empty() && registration.port == 0) members.complain(ErrorCode::kInvalidConfig, "port is missing");
  if (!registration.service.empty() && registration.address.empty()) members.complain(ErrorCode::kInvalidConfig, "address is missing");
  if (registration.protocol != "http" && registration.protocol != "http2" && registration.protocol != "grpc") {
    members.complain(ErrorCode::kInvalidConfig, "protocol is '" + registration.protocol + "'; write http, http2 or grpc");
  }
  LATEEN_TRY_VOID(members.result());
  return registration;
}

std::string to_json(const RegistrationAnswer& answer) {
  return JsonObject().add("name", answer.name).add("http-proxy", answer.http_proxy).text();
}

Result<RegistrationAnswer> parse_registration_answer(std::string_view json) {
  simdjson::dom::parser parser;
  LATEEN_TRY(const simdjson::dom::object object, parse_json_object(parser, json, "answer of /lateen/register"));
  JsonMembers members(object, "answer of /lateen/register");
  RegistrationAnswer answer;
  members.read("name", answer.name);
  members.read("http-proxy", answer.http_proxy);
  LATEEN_TRY_VOID(members.result());
  return answer;
}

}  // namespace lateen::cli
