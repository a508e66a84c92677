#include "model/protocol.h"

#include "model/checks.h"

namespace lateen::model {

namespace {

// Servers that speak first: to wait for the client's first bytes would hang them.
bool is_server_first(std::uint32_t port) { return port == 25 || port == 53 || port == 3306 || port == 27017; }

std::string from_app_protocol(std::string_view word) {
  if (word == "kubernetes.io/h2c") return "HTTP2";
  if (word == "kubernetes.io/ws") return "HTTP";
  if (word == "kubernetes.io/wss") return "HTTPS";
  return parse_protocol(word);
}

std::string from_name(std::string_view name) {
  if (std::string whole = parse_protocol(name); !whole.empty()) return whole;
  if (parse_protocol(name.substr(0, 8)) == "GRPC-WEB") return "GRPC-WEB";
  const auto dash = name.find('-');
  return dash == std::string_view::npos ? "" : parse_protocol(name.substr(0, dash));
}

}  // namespace

std::string select_protocol(std::uint32_t port, std::string_view name, std::string_view transport, std::string_view app_protocol) {
  if (transport == "UDP") return "UDP";
  if (!app_protocol.empty())
    if (std::string protocol = from_app_protocol(app_protocol); !protocol.empty()) return protocol;
  if (std::string protocol = from_name(name); !protocol.empty()) return protocol;
  return is_server_first(port) ? "TCP" : "";
}

bool is_http_protocol(std::string_view protocol) {
  return protocol == "HTTP" || protocol == "HTTP2" || protocol == "GRPC" || protocol == "GRPC-WEB";
}

bool is_tls_protocol(std::string_view protocol) { return protocol == "HTTPS" || protocol == "TLS"; }

}  // namespace lateen::model
