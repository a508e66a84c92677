// Fields: the way through one resource while it is compiled, and what is wrong with it.
//
// Two words with different ends. *Refused* is what Envoy would refuse too: the resource keeps its last good version.
// *Unsupported* is valid, and this data plane does not carry it out: the smallest part that can answer for itself (a
// route, a filter chain, a cluster) says so to every request.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "runtime/match.h"
#include "runtime/shared_parts.h"

namespace google::protobuf {
class Any;
class Duration;
class FieldDescriptor;
class Message;
}  // namespace google::protobuf
namespace envoy::config::core::v3 {
class ConfigSource;
class Metadata;
class RuntimeFractionalPercent;
}
namespace envoy::type::v3 {
class FractionalPercent;
}
namespace envoy::type::matcher::v3 {
class RegexMatcher;
class StringMatcher;
}  // namespace envoy::type::matcher::v3

namespace lateen::runtime {

class Fields {
 public:
  // `resource` begins every message: "cluster outbound|80||x". `parts` must outlive this object.
  Fields(std::string resource, SharedParts& parts) : parts_(parts), path_(std::move(resource)), resource_length_(path_.size()) {}

  SharedParts& parts() { return parts_; }

  // Names the field being read, for as long as it lives.
  class At {
   public:
    At(Fields& fields, std::string_view name);
    At(Fields& fields, std::string_view name, int index);
    ~At() { fields_.path_.resize(length_); }
    At(const At&) = delete;
    At& operator=(const At&) = delete;

   private:
    Fields& fields_;
    std::size_t length_;
  };

  void refuse(std::string_view message) { refused_.push_back(error(ErrorCode::kInvalidConfig, message)); }
  void refuse(const Error& cause) { cause.code == ErrorCode::kUnsupported ? unsupported(cause.message) : refuse(cause.message); }
  void unsupported(std::string_view message) { unsupported_.push_back(error(ErrorCode::kUnsupported, message)); }
  // Carried, but not quite as written; told, so that nothing is left out in silence.
  void note(std::string_view message) { notes_.push_back(error(ErrorCode::kUnsupported, message)); }

  // Every field of `message` that is set and not among the numbers in `known` is unsupported. Fields newer than our copy
  // of the API are too.
  void only(const google::protobuf::Message& message, std::initializer_list<int> known) { only(message, std::span(known.begin(), known.size())); }
  void only(const google::protobuf::Message& message, std::span<const int> known);

  bool ok() const { return refused_.empty(); }
  const std::vector<Error>& refused() const { return refused_; }
  const std::vector<Error>& unsupported() const { return unsupported_; }
  const std::vector<Error>& notes() const { return notes_; }
  // How much there is to tell, whatever it is.
  std::size_t told() const { return refused_.size() + unsupported_.size() + notes_.size(); }
  // What became unsupported since there were `mark` such entries; these leave the list and become notes, because the
  // caller lets a part of the resource say so. "" if nothing did.
  std::size_t mark() const { return unsupported_.size(); }
  std::string take_unsupported(std::size_t mark);

  // Not negative and not beyond a hundred years, or refused (and zero returned).
  Duration duration(const google::protobuf::Duration& value);
  std::uint32_t per_million(const envoy::type::v3::FractionalPercent& value);
  // The default of a fraction that Envoy's runtime layer could change, in millionths: there is no such layer here.
  std::uint32_t fraction(const envoy::config::core::v3::RuntimeFractionalPercent& value, std::string_view name);
  // An empty text if the regex is refused.
  std::optional<Regex> regex(const envoy::type::matcher::v3::RegexMatcher& value);
  StringMatcher string_matcher(const envoy::type::matcher::v3::StringMatcher& value);
  // Only ADS: what comes otherwise would not be asked for. When it comes and in which version is the transport's matter.
  void source(const envoy::config::core::v3::ConfigSource& value, std::string_view name);
  // Whoever reads metadata looks for what it knows; the rest is for others.
  void metadata(const envoy::config::core::v3::Metadata& value);
  // Checks that `any` is an empty `Proto`. False, and refused or unsupported, if it is of another type.
  template <class Proto>
  bool empty(const google::protobuf::Any& any) {
    Proto proto;
    if (!unpack(any, proto)) return false;
    only(proto, {});
    return true;
  }
  // A field that is set, and that another one is put before.
  void overruled(const google::protobuf::Message& message, std::initializer_list<int> numbers, std::string_view by);
  // Bytes that should be an empty message, unsupported if they are not.
  void empty_bytes(const google::protobuf::Any& any);
  // The message in `any`. False, and refused, if it is of another type or does not parse.
  bool unpack(const google::protobuf::Any& any, google::protobuf::Message& out);

 private:
  Error error(ErrorCode code, std::string_view message) const { return Error{code, path_ + ": " + std::string(message), {}}; }

  SharedParts& parts_;
  std::string path_;
  std::size_t resource_length_;
  std::vector<Error> refused_, unsupported_, notes_;
  std::vector<const google::protobuf::FieldDescriptor*> set_;   // of the message that only() looks at
};

// ASCII only, as HTTP compares names.
std::string lower_case(std::string_view text);

// "envoy.config.cluster.v3.Cluster" of "type.googleapis.com/envoy.config.cluster.v3.Cluster".
std::string_view type_name(const google::protobuf::Any& any);

}  // namespace lateen::runtime
