#include "http/h1_writer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "http/status.h"

namespace lateen::http {

namespace {

constexpr std::size_t kFixedBytesMax = 256;   // first line without its target, framing fields, empty line
constexpr std::size_t kNominatedMax = 16;     // names that a Connection field may take away; more are not looked at

char* put(char* out, std::string_view text) {
  if (!text.empty()) std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

char* put_field(char* out, std::string_view name, std::string_view value) {
  return put(put(put(put(out, name), ": "), value), "\r\n");
}

char* put_number(char* out, std::uint64_t number) {
  return std::to_chars(out, out + 20, number).ptr;
}

std::size_t fields_bytes(const HeaderMap& headers) {
  std::size_t bytes = 0;
  for (const Header& h : headers.fields()) bytes += h.name.size() + h.value.size() + 4;
  return bytes;
}

// Fields that the proxy writes or that frame the message: a peer's Connection cannot take them away.
bool is_protected(std::string_view name) {
  const HeaderId id = header_id(name);
  return name.starts_with("x-forwarded-") || name.starts_with("x-envoy-") || id == HeaderId::kXRequestId ||
         id == HeaderId::kDate || id == HeaderId::kServer || id == HeaderId::kVia || name == "forwarded";
}

// The names that the message's Connection fields take away, other than the ones that are always left out.
class Nominated {
 public:
  explicit Nominated(const HeaderMap& headers) {
    for (const Header& h : headers.fields()) {
      if (h.id == HeaderId::kConnection) for_each_element(h.value, [this](std::string_view name) { add(name); });
    }
  }
  bool has(std::string_view name) const {
    return std::any_of(names_.begin(), names_.begin() + count_,
                       [name](std::string_view nominated) { return equals_ignoring_case(nominated, name); });
  }
  bool empty() const { return count_ == 0; }

 private:
  void add(std::string_view name) {
    constexpr std::array<std::string_view, 4> kWords = {"close", "keep-alive", "upgrade", "te"};
    const bool word = std::any_of(kWords.begin(), kWords.end(),
                                  [name](std::string_view known) { return equals_ignoring_case(name, known); });
    if (!word && static_cast<std::size_t>(count_) < kNominatedMax) names_[static_cast<std::size_t>(count_++)] = name;
  }
  std::array<std::string_view, kNominatedMax> names_;
  std::ptrdiff_t count_ = 0;
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wswitch-enum"
bool is_hop_by_hop(HeaderId id) {
  switch (id) {
    case HeaderId::kConnection:
    case HeaderId::kContentLength:      // written anew by the framing
    case HeaderId::kTransferEncoding:
    case HeaderId::kTe:
    case HeaderId::kUpgrade:
    case HeaderId::kKeepAlive:
    case HeaderId::kProxyConnection: return true;
    default: return false;
  }
}
#pragma GCC diagnostic pop

char* put_fields(char* out, const HeaderMap& headers, bool keeps_host) {
  const Nominated nominated(headers);
  for (const Header& h : headers.fields()) {
    if (h.id != HeaderId::kOther && is_hop_by_hop(h.id)) continue;
    if (h.id == HeaderId::kHost && !keeps_host) continue;
    if (!nominated.empty() && nominated.has(h.name) && !is_protected(h.name)) continue;
    out = put_field(out, h.name, h.value);
  }
  return out;
}

char* put_framing(char* out, const OutgoingFraming& framing) {
  if (framing.writes_length) out = put(put_number(put(out, "content-length: "), framing.length), "\r\n");
  if (framing.body == BodyKind::kChunked) out = put(out, "transfer-encoding: chunked\r\n");
  if (framing.close) return put(out, "connection: close\r\n");
  if (framing.writes_keep_alive) out = put(out, "connection: keep-alive\r\n");
  return out;
}

// One valid Content-Length, or nothing.
bool single_length(const HeaderMap& headers, std::uint64_t& length) {
  std::size_t count = 0;
  bool valid = true;
  for (const Header& h : headers.fields()) {
    if (h.id != HeaderId::kContentLength) continue;
    ++count;
    valid &= parse_content_length(h.value, length);
  }
  return count == 1 && valid;
}

bool body_is_usual(std::string_view method) {
  constexpr std::array<std::string_view, 6> kWithout = {"GET", "HEAD", "DELETE", "CONNECT", "OPTIONS", "TRACE"};
  return std::find(kWithout.begin(), kWithout.end(), method) == kWithout.end();
}

}  // namespace

bool accepts_trailers(const HeaderMap& headers) {
  for (const Header& h : headers.fields()) {
    if (h.id != HeaderId::kTe) continue;
    bool found = false;
    for_each_element(h.value, [&](std::string_view word) { found |= equals_ignoring_case(word, "trailers"); });
    if (found) return true;
  }
  return false;
}

OutgoingFraming frame_request(const RequestHead& head, bool has_body) {
  OutgoingFraming framing;
  std::uint64_t length = 0;
  const bool has_length = single_length(head.headers, length);
  if (head.method == "CONNECT") {
    framing.body = BodyKind::kTunnel;
  } else if (has_body && !has_length) {
    framing.body = BodyKind::kChunked;
  } else if (has_body) {
    framing.body = BodyKind::kLength;
    framing.length = length;
    framing.writes_length = true;
  } else {
    framing.writes_length = has_length || (body_is_usual(head.method) && !head.is_upgrade);
  }
  return framing;
}

OutgoingFraming frame_response(const ResponseHead& head, const Answered& answered, bool has_body) {
  OutgoingFraming framing;
  const std::uint16_t status = head.status;
  if (status == 101) {
    framing.body = BodyKind::kTunnel;
    return framing;
  }
  if (status < 200) return framing;
  framing.close = !answered.keep_alive;
  framing.writes_keep_alive = answered.keep_alive && answered.version == Version::kHttp10;
  if (answered.method == "CONNECT" && status < 300) {
    framing.body = BodyKind::kTunnel;
    framing.close = framing.writes_keep_alive = false;
    return framing;
  }
  if (status == 204) return framing;
  const bool has_length = single_length(head.headers, framing.length);
  if (answered.method == "HEAD" || status == 304) {
    framing.writes_length = has_length;
  } else if (!has_body) {
    framing.length = 0;
    framing.writes_length = true;
  } else if (has_length) {
    framing.body = BodyKind::kLength;
    framing.writes_length = true;
  } else if (answered.version == Version::kHttp10) {
    framing.body = BodyKind::kUntilClose;
    framing.close = true;
  } else {
    framing.body = BodyKind::kChunked;
  }
  return framing;
}

std::size_t head_bytes_max(const RequestHead& head) {
  return kFixedBytesMax + head.method.size() + head.path.size() + 2 * head.authority.size() + fields_bytes(head.headers);
}

std::size_t head_bytes_max(const ResponseHead& head) { return kFixedBytesMax + fields_bytes(head.headers); }

char* write_head(char* out, const RequestHead& head, const OutgoingFraming& framing) {
  out = put(put(out, head.method), " ");
  out = put(out, head.method == "CONNECT" ? head.authority : head.path);
  out = put(out, " HTTP/1.1\r\n");
  out = put_field(out, "host", head.authority);
  out = put_fields(out, head.headers, false);
  if (accepts_trailers(head.headers)) out = put(out, "te: trailers\r\n");
  if (head.is_upgrade) {
    if (const auto upgrade = head.headers.get(HeaderId::kUpgrade)) {
      out = put_field(put(out, "connection: upgrade\r\n"), "upgrade", *upgrade);
    }
  }
  return put(put_framing(out, framing), "\r\n");
}

char* write_head(char* out, const ResponseHead& head, const OutgoingFraming& framing) {
  out = put_number(put(out, "HTTP/1.1 "), head.status);
  out = put(put(put(out, " "), reason_phrase(head.status)), "\r\n");
  out = put_fields(out, head.headers, true);
  // 101 carries the upgrade; 426 says which protocol is wanted (RFC 9110, section 15.5.22).
  if (head.status == 101 || head.status == 426) {
    if (const auto upgrade = head.headers.get(HeaderId::kUpgrade)) {
      out = put_field(put(out, framing.close ? "" : "connection: upgrade\r\n"), "upgrade", *upgrade);
    }
  }
  return put(put_framing(out, framing), "\r\n");
}

void append_head(std::string& text, const RequestHead& head, const OutgoingFraming& framing) {
  const std::size_t before = text.size();
  text.resize(before + head_bytes_max(head));
  text.resize(static_cast<std::size_t>(write_head(text.data() + before, head, framing) - text.data()));
}

void append_head(std::string& text, const ResponseHead& head, const OutgoingFraming& framing) {
  const std::size_t before = text.size();
  text.resize(before + head_bytes_max(head));
  text.resize(static_cast<std::size_t>(write_head(text.data() + before, head, framing) - text.data()));
}

void end_to_end_fields(const HeaderMap& headers, std::vector<Header>& into) {
  const Nominated nominated(headers);
  for (const Header& h : headers.fields()) {
    if (is_hop_by_hop(h.id) || (!nominated.empty() && nominated.has(h.name) && !is_protected(h.name))) continue;
    into.push_back(h);
  }
}

}  // namespace lateen::http
