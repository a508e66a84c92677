#include "cli/exec_protocol.h"

#include <set>

#include "cli/json_reader.h"
#include "cli/json_text.h"

namespace lateen::cli {

namespace {

constexpr std::size_t kLabelsMax = 64;
constexpr std::size_t kAddressesMax = 64;
constexpr std::size_t kSearchMax = 6;  // as many as resolv.conf(5) takes

std::string to_json(const ExecService& service) {
  std::vector<std::string> ports;
  for (const std::uint16_t port : service.ports) ports.push_back(std::to_string(port));
  return JsonObject()
      .add("name", service.name)
      .add("hosts", service.hosts)
      .add("addresses", service.addresses)
      .add_raw("ports", json_array(ports))
      .text();
}

std::string to_json(const ExecMessage& message) {
  return std::visit(
      Overloaded{
          [](const ExecHello& hello) {
            return JsonObject()
                .add("type", "hello")
                .add("protocol", static_cast<std::int64_t>(hello.protocol))
                .add("identity", hello.identity)
                .add("labels", hello.labels)
                .add("command", hello.command)
                .text();
          },
          [](const ExecServices& list) {
            std::vector<std::string> services;
            services.reserve(list.services.size());
            for (const ExecService& service : list.services) services.push_back(to_json(service));
            return JsonObject()
                .add("type", "services")
                .add("identity", list.identity)
                .add("workers", static_cast<std::int64_t>(list.workers))
                .add("search", list.search)
                .add_raw("services", json_array(services))
                .text();
          },
          [](const ExecSockets& sockets) {
            return JsonObject()
                .add("type", "sockets")
                .add("port", static_cast<std::int64_t>(sockets.port))
                .add("family", static_cast<std::int64_t>(sockets.family))
                .add("count", static_cast<std::int64_t>(sockets.count))
                .text();
          },
          [](const ExecError& error) { return JsonObject().add("type", "error").add("message", error.message).text(); },
      },
      message);
}

Result<ExecMessage> read_hello(JsonMembers& members) {
  ExecHello hello;
  members.read("protocol", hello.protocol, 0, 1'000'000);
  members.read("identity", hello.identity);
  members.read("labels", hello.labels, kLabelsMax);
  members.read("command", hello.command);
  LATEEN_TRY_VOID(members.result());
  return hello;
}

Result<ExecService> read_service(simdjson::dom::element element) {
  simdjson::dom::object object;
  if (element.get(object) != simdjson::SUCCESS) return fail(ErrorCode::kProtocol, "services: an entry is not an object");
  JsonMembers members(object, "services");
  ExecService service;
  members.read("name", service.name);
  members.read("hosts", service.hosts, kExecNamesPerServiceMax);
  members.read("addresses", service.addresses, kAddressesMax);
  for (const auto& port : members.elements("ports", kExecPortsMax)) {
    std::int64_t number = 0;
    if (port.get(number) != simdjson::SUCCESS || number < 1 || number > 65'535) {
      return fail(ErrorCode::kProtocol, "services: ports has an entry that is not a port number");
    }
    service.ports.push_back(static_cast<std::uint16_t>(number));
  }
  LATEEN_TRY_VOID(members.result());
  return service;
}

Result<ExecMessage> read_services(JsonMembers& members) {
  ExecServices list;
  members.read("identity", list.identity);
  members.read("workers", list.workers, 1, static_cast<std::int64_t>(kExecDescriptorsMax));
  members.read("search", list.search, kSearchMax);
  for (const auto& element : members.elements("services", kExecServicesMax)) {
    LATEEN_TRY(ExecService service, read_service(element));
    list.services.push_back(std::move(service));
  }
  LATEEN_TRY_VOID(members.result());
  return list;
}

Result<ExecMessage> read_sockets(JsonMembers& members) {
  ExecSockets sockets;
  members.read("port", sockets.port, 1, 65'535);
  members.read("family", sockets.family, 4, 6);
  members.read("count", sockets.count, 1, static_cast<std::int64_t>(kExecDescriptorsMax));
  if (sockets.port == 0) members.complain(ErrorCode::kProtocol, "no port");
  if (sockets.count == 0) members.complain(ErrorCode::kProtocol, "no sockets");
  if (sockets.family == 5) members.complain(ErrorCode::kProtocol, "family is neither 4 nor 6");
  LATEEN_TRY_VOID(members.result());
  return sockets;
}

}  // namespace

Result<std::string> encode_exec_frame(const ExecMessage& message) {
  const std::string json = to_json(message);
  if (json.size() > kExecFrameBytesMax) {
    return fail(ErrorCode::kOverLimit, "a message of " + std::to_string(json.size()) + " bytes is more than exec takes");
  }
  const auto length = static_cast<std::uint32_t>(json.size());
  std::string frame;
  frame.reserve(kExecFrameHeaderBytes + json.size());
  for (unsigned shift = 32; shift > 0; shift -= 8) frame += static_cast<char>((length >> (shift - 8)) & 0xFFU);
  return frame + json;
}

Result<std::size_t> decode_exec_frame_length(std::string_view header) {
  LATEEN_CHECK(header.size() >= kExecFrameHeaderBytes);
  std::size_t length = 0;
  for (std::size_t i = 0; i < kExecFrameHeaderBytes; ++i) length = (length << 8U) | static_cast<unsigned char>(header[i]);
  if (length == 0) return fail(ErrorCode::kProtocol, "an empty frame");
  if (length > kExecFrameBytesMax) return fail(ErrorCode::kOverLimit, "a frame of " + std::to_string(length) + " bytes");
  return length;
}

Result<ExecMessage> decode_exec_message(std::string_view json) {
  if (json.size() > kExecFrameBytesMax) return fail(ErrorCode::kOverLimit, "a frame of " + std::to_string(json.size()) + " bytes");
  simdjson::dom::parser parser;
  LATEEN_TRY(const simdjson::dom::object object, parse_json_object(parser, json, "exec message"));
  std::string type;
  JsonMembers(object, "exec message").read("type", type);
  JsonMembers members(object, type);
  if (type == "hello") return read_hello(members);
  if (type == "services") return read_services(members);
  if (type == "sockets") return read_sockets(members);
  if (type == "error") {
    ExecError error;
    members.read("message", error.message);
    LATEEN_TRY_VOID(members.result());
    return error;
  }
  return fail(ErrorCode::kProtocol, "a message of the unknown type '" + type + "'");
}

std::vector<std::pair<std::uint16_t, int>> captured_ports(const ExecServices& services) {
  std::set<std::pair<std::uint16_t, int>> wanted;
  for (const ExecService& service : services.services) {
    for (const std::string& address : service.addresses) {
      const int family = address.find(':') == std::string::npos ? 4 : 6;
      for (const std::uint16_t port : service.ports) wanted.emplace(port, family);
    }
  }
  return {wanted.begin(), wanted.end()};
}

std::string to_json(const ExecDirections& directions) {
  return JsonObject().add("socket", directions.socket).add("http-proxy", directions.http_proxy).text();
}

Result<ExecDirections> parse_exec_directions(std::string_view json) {
  simdjson::dom::parser parser;
  LATEEN_TRY(const simdjson::dom::object object, parse_json_object(parser, json, "/lateen/exec-socket"));
  JsonMembers members(object, "/lateen/exec-socket");
  ExecDirections directions;
  members.read("socket", directions.socket);
  members.read("http-proxy", directions.http_proxy);
  LATEEN_TRY_VOID(members.result());
  if (!directions.socket.starts_with('/')) return fail(ErrorCode::kProtocol, "/lateen/exec-socket: socket is not an absolute path");
  return directions;
}

std::string exec_socket_directory(std::string_view xdg_runtime_dir, unsigned uid) {
  if (xdg_runtime_dir.starts_with('/')) return std::string(xdg_runtime_dir) + "/lateen";
  return "/tmp/lateen-" + std::to_string(uid);
}

}  // namespace lateen::cli
