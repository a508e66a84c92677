// HeaderMap: the header fields of one message, in order, names in lower case.
//
// Built for the hot path: fields are views into bytes that somebody keeps (the connection's read slab, static text) or
// into the map's own arena; clearing and refilling a map allocates nothing once it has grown. Well-known names carry a
// small id, so that has/get/remove of those is a compare of bytes and not of strings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace lateen::http {

// Names that the proxy itself reads or writes. kOther: look at the text.
enum class HeaderId : std::uint8_t {
  kOther,
  kHost, kConnection, kContentLength, kTransferEncoding, kTe, kTrailer, kUpgrade, kKeepAlive, kProxyConnection,
  kExpect, kDate, kServer, kContentType, kUserAgent, kReferer, kCookie, kSetCookie, kVia, kLocation, kAuthorization,
  kProxyAuthorization, kProxyAuthenticate, kXForwardedFor, kXForwardedProto, kXForwardedHost, kXRequestId,
  kXEnvoyAttemptCount, kXEnvoyExpectedRqTimeoutMs, kXEnvoyUpstreamServiceTime, kXEnvoyUpstreamRqTimeoutMs,
  kXEnvoyUpstreamRqPerTryTimeoutMs, kXEnvoyRetryOn, kXEnvoyMaxRetries, kXEnvoyOverloaded, kXEnvoyDecoratorOperation,
  kXEnvoyExternalAddress, kXEnvoyInternal, kXEnvoyOriginalPath, kXEnvoyOther, kGrpcStatus, kGrpcMessage,
};

struct Header {
  std::string_view name;   // lower case
  std::string_view value;  // without surrounding white space
  HeaderId id = HeaderId::kOther;
};

// The id of a lower-case name.
HeaderId header_id(std::string_view name);
std::string_view header_name(HeaderId id);

class HeaderMap {
 public:
  HeaderMap() = default;
  HeaderMap(HeaderMap&& other) noexcept;
  HeaderMap& operator=(HeaderMap&& other) noexcept;
  ~HeaderMap();                                     // what was allocated goes to a bounded list of the thread
  HeaderMap(const HeaderMap&) = delete;             // copies are explicit: see copy()
  HeaderMap& operator=(const HeaderMap&) = delete;

  // The bytes of `name` and `value` must outlive the map or the next clear().
  void add_reference(std::string_view name, std::string_view value);
  void add_reference(HeaderId id, std::string_view value);
  void add_reference(const Header& field) { push(field.name, field.value, field.id); }  // its id is header_id(name)
  // Copies the bytes into the map's arena.
  void add(std::string_view name, std::string_view value);
  void add(HeaderId id, std::string_view value);
  // Replaces the first field of that name and removes the others, or adds one.
  void set(std::string_view name, std::string_view value);
  void set(HeaderId id, std::string_view value);
  std::size_t remove(std::string_view name);  // how many were removed
  std::size_t remove(HeaderId id);
  // Removes every field for which `predicate(const Header&)` is true.
  template <class Predicate>
  std::size_t remove_if(Predicate predicate) {
    return std::erase_if(fields_, predicate);
  }

  // The first field of that name.
  std::optional<std::string_view> get(std::string_view name) const;
  std::optional<std::string_view> get(HeaderId id) const;
  bool has(HeaderId id) const;
  std::size_t count(std::string_view name) const;

  const std::vector<Header>& fields() const { return fields_; }
  std::size_t size() const { return fields_.size(); }
  bool empty() const { return fields_.empty(); }
  void clear();
  HeaderMap copy() const;  // every byte in the copy's own arena
  // For parsers whose region of bytes has moved while the map was being filled: every view into [from, from + size)
  // becomes one into the bytes at `to`.
  void rebase(const char* from, std::size_t size, const char* to);

 private:
  struct Block;
  struct Storage;

  std::string_view keep(std::string_view bytes);  // into the arena; stable until clear()
  void push(std::string_view name, std::string_view value, HeaderId id);
  void release();

  std::vector<Header> fields_;
  // Blocks never move, so views stay valid when the map grows or is moved. The first in the list is the one in use.
  Block* arena_ = nullptr;
};

}  // namespace lateen::http
