// Reading a Kubernetes Secret, as far as TLS needs it. Which of its keys mean what is translate's knowledge.
#include <optional>
#include <string>

#include "model/codes.h"
#include "model/kinds.h"
#include "model/proxy_config.h"
#include "model/reader.h"

namespace lateen::model {

namespace {

struct SecretDocument {
  std::string type;
  std::map<std::string, std::string> data, string_data;
};

int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

// RFC 4648, section 4, with line ends among it, as kubectl takes it.
std::optional<std::string> decode_base64(std::string_view text) {
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  std::size_t letters = 0, pads = 0;
  for (const char c : text) {
    if (c == '\n' || c == '\r') continue;
    if (c == '=') {
      ++pads;
      continue;
    }
    const int value = base64_value(c);
    if (value < 0 || pads > 0) return std::nullopt;
    bits = bits << 6U | static_cast<std::uint32_t>(value);
    count += 6;
    ++letters;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count & 0xffU);
  }
  if ((letters + pads) % 4 != 0 || pads > 2) return std::nullopt;
  return out;
}

}  // namespace

template <>
struct Shape<SecretDocument> : Table<SecretDocument> {
  static constexpr Field<SecretDocument> kFields[] = {
      {"type", at<&SecretDocument::type>}, {"data", at<&SecretDocument::data>}, {"stringData", at<&SecretDocument::string_data>}};
};

Secret read_secret(Reader& reader, const text::Node& document) {
  SecretDocument read;
  read_value(reader, document, read);
  Secret secret;
  secret.type = read.type.empty() ? "Opaque" : read.type;
  for (const auto& [name, text] : read.data) {
    std::optional<std::string> value = decode_base64(text);
    if (value) secret.data[name] = *std::move(value);
    else reader.error_below("data." + name, kBadValue, "is not base64", "write the text itself in stringData, or encode it: base64 -w0 FILE");
  }
  for (auto& [name, text] : read.string_data) secret.data[name] = std::move(text);
  return secret;
}

}  // namespace lateen::model
