#include "proxy/tls_client_hello.h"

#include <algorithm>
#include <optional>

namespace lateen::proxy {
namespace {

constexpr std::uint8_t kHandshakeRecord = 22;
constexpr std::uint8_t kClientHelloMessage = 1;
constexpr std::size_t kRecordHeaderBytes = 5, kMessageHeaderBytes = 4;
constexpr std::size_t kRecordBytesMax = 16 * 1024;
constexpr std::size_t kRandomBytes = 32, kSessionIdBytesMax = 32;
constexpr std::uint16_t kServerName = 0, kApplicationProtocols = 16, kSupportedVersions = 43;
constexpr std::size_t kHostNameBytesMax = 255;

// Reads big-endian fields from the front; once something is missing, everything is.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : left_(bytes) {}
  bool ok() const { return ok_; }
  bool at_end() const { return left_.empty(); }

  std::string_view take(std::size_t bytes) {
    if (left_.size() < bytes) ok_ = false;
    if (!ok_) return {};
    const std::string_view taken = left_.substr(0, bytes);
    left_.remove_prefix(bytes);
    return taken;
  }
  std::size_t number(std::size_t bytes) {
    std::size_t value = 0;
    for (const char c : take(bytes)) value = value << 8 | static_cast<unsigned char>(c);
    return value;
  }
  // What follows a length of `length_bytes` bytes.
  std::string_view vector(std::size_t length_bytes) { return take(number(length_bytes)); }

 private:
  std::string_view left_;
  bool ok_ = true;
};

// What can be a name in the SNI; anything else would be matched, logged and forwarded without being one.
bool is_host_name(std::string_view name) {
  return !name.empty() && name.size() <= kHostNameBytesMax && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
         });
}

bool read_server_name(std::string_view bytes, ClientHello& hello) {
  Fields fields(bytes);
  Fields names(fields.vector(2));
  if (!fields.ok() || !fields.at_end() || names.at_end()) return false;
  while (!names.at_end()) {
    const std::size_t kind = names.number(1);
    const std::string_view name = names.vector(2);
    if (!names.ok()) return false;
    if (kind != 0) continue;
    if (!hello.server_name.empty() || !is_host_name(name)) return false;
    hello.server_name = name;
    if (hello.server_name.ends_with('.')) hello.server_name.pop_back();
    for (char& c : hello.server_name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  return true;
}

bool read_protocols(std::string_view bytes, ClientHello& hello) {
  Fields fields(bytes);
  Fields protocols(fields.vector(2));
  if (!fields.ok() || !fields.at_end() || protocols.at_end()) return false;
  while (!protocols.at_end()) {
    const std::string_view protocol = protocols.vector(1);
    if (!protocols.ok() || protocol.empty()) return false;
    hello.application_protocols.emplace_back(protocol);
  }
  return true;
}

bool read_versions(std::string_view bytes, ClientHello& hello) {
  Fields fields(bytes);
  Fields versions(fields.vector(1));
  if (!fields.ok() || !fields.at_end() || versions.at_end()) return false;
  std::uint16_t highest = 0;
  while (versions.ok() && !versions.at_end()) {
    const auto version = static_cast<std::uint16_t>(versions.number(2));
    // Values like 0x?A?A are there to be passed over (GREASE, RFC 8701).
    if (version >> 8 == 3) highest = std::max(highest, version);
  }
  if (highest != 0) hello.version_max = highest;
  return versions.ok();
}

bool read_extensions(std::string_view bytes, ClientHello& hello) {
  Fields extensions(bytes);
  std::vector<std::uint16_t> seen;
  while (!extensions.at_end()) {
    const auto kind = static_cast<std::uint16_t>(extensions.number(2));
    const std::string_view body = extensions.vector(2);
    if (!extensions.ok()) return false;
    if (std::find(seen.begin(), seen.end(), kind) != seen.end()) return false;
    const bool wanted = kind == kServerName || kind == kApplicationProtocols || kind == kSupportedVersions;
    if (!wanted) continue;
    seen.push_back(kind);
    if (kind == kServerName && !read_server_name(body, hello)) return false;
    if (kind == kApplicationProtocols && !read_protocols(body, hello)) return false;
    if (kind == kSupportedVersions && !read_versions(body, hello)) return false;
  }
  return true;
}

bool read_message(std::string_view message, ClientHello& hello) {
  Fields fields(message);
  hello.version_max = static_cast<std::uint16_t>(fields.number(2));
  fields.take(kRandomBytes);
  const std::string_view session_id = fields.vector(1);
  const std::string_view cipher_suites = fields.vector(2);
  const std::string_view compressions = fields.vector(1);
  if (!fields.ok() || hello.version_max >> 8 != 3 || session_id.size() > kSessionIdBytesMax) return false;
  if (cipher_suites.empty() || cipher_suites.size() % 2 != 0 || compressions.empty()) return false;
  if (fields.at_end()) return true;   // before TLS 1.2 there were hellos without extensions
  const std::string_view extensions = fields.vector(2);
  return fields.ok() && fields.at_end() && read_extensions(extensions, hello);
}

}  // namespace

ClientHelloResult read_client_hello(std::string_view bytes, ClientHello& hello) {
  if (bytes.empty()) return ClientHelloResult::kMore;
  if (static_cast<std::uint8_t>(bytes.front()) != kHandshakeRecord) return ClientHelloResult::kNotTls;
  std::string message;
  std::size_t wanted = kMessageHeaderBytes;
  std::size_t announced = 0;   // by the headers of the records
  std::string_view left = bytes;
  // Record by record, until the message is whole. The header of a record is looked at as soon as it is there.
  while (message.size() < wanted) {
    if (left.size() >= 1 && static_cast<std::uint8_t>(left.front()) != kHandshakeRecord) return ClientHelloResult::kInvalid;
    if (left.size() >= 2 && left[1] != 3) return ClientHelloResult::kInvalid;
    if (left.size() < kRecordHeaderBytes) return ClientHelloResult::kMore;
    const std::size_t size = Fields(left.substr(3)).number(2);
    if (size == 0 || size > kRecordBytesMax) return ClientHelloResult::kInvalid;
    const std::string_view fragment = left.substr(kRecordHeaderBytes, size);
    message += fragment;
    announced += size;
    if (!message.empty() && static_cast<std::uint8_t>(message.front()) != kClientHelloMessage) return ClientHelloResult::kInvalid;
    if (message.size() >= kMessageHeaderBytes) {
      wanted = kMessageHeaderBytes + Fields(std::string_view(message).substr(1)).number(3);
      if (wanted > kClientHelloBytesMax) return ClientHelloResult::kInvalid;
      // Behind a ClientHello a client waits for the server.
      if (announced > wanted) return ClientHelloResult::kInvalid;
    }
    if (fragment.size() < size && message.size() < wanted) return ClientHelloResult::kMore;
    left.remove_prefix(kRecordHeaderBytes + fragment.size());
  }
  hello = ClientHello();
  return read_message(std::string_view(message).substr(kMessageHeaderBytes), hello) ? ClientHelloResult::kComplete
                                                                                    : ClientHelloResult::kInvalid;
}

}  // namespace lateen::proxy
