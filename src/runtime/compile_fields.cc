#include "runtime/compile_fields.h"

#include <envoy/config/core/v3/base.pb.h>
#include <envoy/config/core/v3/config_source.pb.h>
#include <envoy/type/matcher/v3/regex.pb.h>
#include <envoy/type/matcher/v3/string.pb.h>
#include <envoy/type/v3/percent.pb.h>
#include <google/protobuf/any.pb.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>

// Deprecated fields are still sent.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace lateen::runtime {
namespace {

constexpr std::int64_t kSecondsMax = std::int64_t{100} * 365 * 24 * 3600;

}  // namespace

Fields::At::At(Fields& fields, std::string_view name) : fields_(fields), length_(fields.path_.size()) {
  fields.path_ += length_ == fields.resource_length_ ? ": " : ".";
  fields.path_ += name;
}

Fields::At::At(Fields& fields, std::string_view name, int index) : At(fields, name) {
  fields.path_ += '[';
  fields.path_ += std::to_string(index);
  fields.path_ += ']';
}

void Fields::only(const google::protobuf::Message& message, std::span<const int> known) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  reflection.ListFields(message, &set_);
  for (const google::protobuf::FieldDescriptor* field : set_) {
    if (std::find(known.begin(), known.end(), field->number()) != known.end()) continue;
    const At at(*this, field->name());
    unsupported("is not supported");
  }
  const google::protobuf::UnknownFieldSet& unknown = reflection.GetUnknownFields(message);
  if (!unknown.empty()) unsupported("field number " + std::to_string(unknown.field(0).number()) + " is not known here");
}

std::string Fields::take_unsupported(std::size_t mark) {
  std::string text;
  for (std::size_t i = mark; i < unsupported_.size(); ++i) {
    if (!text.empty()) text += "; ";
    text += unsupported_[i].message;
    notes_.push_back(std::move(unsupported_[i]));
  }
  unsupported_.resize(mark);
  return text;
}

Duration Fields::duration(const google::protobuf::Duration& value) {
  if (value.seconds() < 0 || value.nanos() < 0) {
    refuse("a duration must not be negative");
    return {};
  }
  if (value.seconds() > kSecondsMax || value.nanos() > 999'999'999) {
    refuse("a duration must not be longer than 100 years");
    return {};
  }
  return std::chrono::seconds(value.seconds()) + std::chrono::nanoseconds(value.nanos());
}

std::uint32_t Fields::per_million(const envoy::type::v3::FractionalPercent& value) {
  only(value, {value.kNumeratorFieldNumber, value.kDenominatorFieldNumber});
  std::uint64_t factor = 1;
  if (value.denominator() == envoy::type::v3::FractionalPercent::HUNDRED) factor = 10'000;
  else if (value.denominator() == envoy::type::v3::FractionalPercent::TEN_THOUSAND) factor = 100;
  else if (value.denominator() != envoy::type::v3::FractionalPercent::MILLION) refuse("unknown denominator");
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(value.numerator() * factor, Fraction::kMillion));
}

std::uint32_t Fields::fraction(const envoy::config::core::v3::RuntimeFractionalPercent& value, std::string_view name) {
  const At at(*this, name);
  only(value, {value.kDefaultValueFieldNumber, value.kRuntimeKeyFieldNumber});
  return per_million(value.default_value());
}

void Fields::source(const envoy::config::core::v3::ConfigSource& value, std::string_view name) {
  const At at(*this, name);
  only(value, {value.kAdsFieldNumber, value.kInitialFetchTimeoutFieldNumber, value.kResourceApiVersionFieldNumber});
  only(value.ads(), {});
  if (!value.has_ads()) unsupported("only ADS is supported as a source");
}

void Fields::overruled(const google::protobuf::Message& message, std::initializer_list<int> numbers, std::string_view by) {
  message.GetReflection()->ListFields(message, &set_);
  for (const google::protobuf::FieldDescriptor* field : set_)
    if (std::find(numbers.begin(), numbers.end(), field->number()) != numbers.end())
      note(field->name() + ": has no effect beside " + std::string(by));
}

void Fields::empty_bytes(const google::protobuf::Any& any) {
  if (!any.value().empty()) unsupported("a field of " + std::string(type_name(any)) + " is not known here");
}

void Fields::metadata(const envoy::config::core::v3::Metadata& value) {
  only(value, {value.kFilterMetadataFieldNumber, value.kTypedFilterMetadataFieldNumber});
}

std::optional<Regex> Fields::regex(const envoy::type::matcher::v3::RegexMatcher& value) {
  // The size of a program has a bound of our own, which is the same for all.
  only(value, {value.kRegexFieldNumber, value.kGoogleRe2FieldNumber});
  only(value.google_re2(), {value.google_re2().kMaxProgramSizeFieldNumber});
  Result<Regex> compiled = Regex::compile(value.regex());
  if (compiled) return *std::move(compiled);
  refuse(compiled.error());
  return std::nullopt;
}

StringMatcher Fields::string_matcher(const envoy::type::matcher::v3::StringMatcher& value) {
  using Proto = envoy::type::matcher::v3::StringMatcher;
  StringMatcher out;
  only(value, {value.kExactFieldNumber, value.kPrefixFieldNumber, value.kSuffixFieldNumber, value.kContainsFieldNumber,
               value.kSafeRegexFieldNumber, value.kCustomFieldNumber, value.kIgnoreCaseFieldNumber});
  out.ignore_case = value.ignore_case();
  switch (value.match_pattern_case()) {
    case Proto::kExact: out.kind = StringMatcher::Kind::kExact; out.text = value.exact(); break;
    case Proto::kPrefix: out.kind = StringMatcher::Kind::kPrefix; out.text = value.prefix(); break;
    case Proto::kSuffix: out.kind = StringMatcher::Kind::kSuffix; out.text = value.suffix(); break;
    case Proto::kContains: out.kind = StringMatcher::Kind::kContains; out.text = value.contains(); break;
    case Proto::kSafeRegex: {
      const At at(*this, "safe_regex");
      out.kind = StringMatcher::Kind::kRegex;
      out.text = value.safe_regex().regex();
      out.regex = regex(value.safe_regex());
      break;
    }
    case Proto::kCustom: unsupported("a custom string matcher is not supported"); break;
    case Proto::MATCH_PATTERN_NOT_SET: refuse("asks for nothing"); break;
  }
  return out;
}

bool Fields::unpack(const google::protobuf::Any& any, google::protobuf::Message& out) {
  if (type_name(any) != out.GetDescriptor()->full_name()) {
    unsupported("is a " + std::string(type_name(any)) + ", which is not supported here");
    return false;
  }
  if (out.ParseFromString(any.value())) return true;
  refuse("does not parse as " + out.GetDescriptor()->full_name());
  return false;
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

std::string_view type_name(const google::protobuf::Any& any) {
  const std::string_view url = any.type_url();
  const std::size_t slash = url.rfind('/');
  return slash == std::string_view::npos ? url : url.substr(slash + 1);
}

}  // namespace lateen::runtime
