// Between our types and nghttp2's. Included by the .cc files of the sessions alone.
#pragma once

#include <nghttp2/nghttp2.h>
#include <string_view>
#include <vector>

#include "http/h2_framing.h"

namespace lateen::http {

inline std::string_view text_of(nghttp2_rcbuf* buffer) {
  const nghttp2_vec bytes = nghttp2_rcbuf_get_buf(buffer);
  return {reinterpret_cast<const char*>(bytes.base), bytes.len};
}

// The fields as nghttp2 takes them: it wants mutable pointers, and copies.
class H2Framing::Raw {
 public:
  explicit Raw(const H2Fields& fields) {
    fields_.reserve(fields.fields_.size());
    for (const H2Fields::Field& field : fields.fields_) {
      fields_.push_back({bytes(field.name), bytes(field.value), field.name.size(), field.value.size(), NGHTTP2_NV_FLAG_NONE});
    }
  }
  const nghttp2_nv* data() const { return fields_.data(); }
  std::size_t size() const { return fields_.size(); }

 private:
  static std::uint8_t* bytes(std::string_view text) {
    return const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(text.data()));
  }
  std::vector<nghttp2_nv> fields_;
};

// Where nghttp2 gets the body of `stream` from.
nghttp2_data_provider h2_body_of(H2Outgoing& stream);

}  // namespace lateen::http
