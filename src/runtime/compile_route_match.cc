// The predicates of a route: envoy.config.route.v3.RouteMatch.

#include <envoy/config/route/v3/route_components.pb.h>

#include "runtime/compile_route.h"

// Deprecated fields are still sent, and Envoy still obeys them.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace lateen::runtime {
namespace {

namespace route = envoy::config::route::v3;

// The older spellings of a string match that Envoy still takes.
std::optional<StringMatcher> old_string_match(const route::HeaderMatcher& proto, Fields& fields) {
  using Proto = route::HeaderMatcher;
  const auto make = [](StringMatcher::Kind kind, const std::string& text) { return StringMatcher{kind, false, text, {}}; };
  switch (proto.header_match_specifier_case()) {
    case Proto::kExactMatch: return make(StringMatcher::Kind::kExact, proto.exact_match());
    case Proto::kPrefixMatch: return make(StringMatcher::Kind::kPrefix, proto.prefix_match());
    case Proto::kSuffixMatch: return make(StringMatcher::Kind::kSuffix, proto.suffix_match());
    case Proto::kContainsMatch: return make(StringMatcher::Kind::kContains, proto.contains_match());
    case Proto::kSafeRegexMatch: {
      const Fields::At at(fields, "safe_regex_match");
      StringMatcher out = make(StringMatcher::Kind::kRegex, proto.safe_regex_match().regex());
      out.regex = fields.regex(proto.safe_regex_match());
      return out;
    }
    case Proto::kStringMatch: {
      const Fields::At at(fields, "string_match");
      return fields.string_matcher(proto.string_match());
    }
    case Proto::kRangeMatch:
    case Proto::kPresentMatch:
    case Proto::HEADER_MATCH_SPECIFIER_NOT_SET: return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

HeaderMatcher compile_header_matcher(const route::HeaderMatcher& proto, Fields& fields) {
  fields.only(proto, {proto.kNameFieldNumber, proto.kExactMatchFieldNumber, proto.kSafeRegexMatchFieldNumber, proto.kRangeMatchFieldNumber,
                      proto.kPresentMatchFieldNumber, proto.kPrefixMatchFieldNumber, proto.kSuffixMatchFieldNumber,
                      proto.kContainsMatchFieldNumber, proto.kStringMatchFieldNumber, proto.kInvertMatchFieldNumber,
                      proto.kTreatMissingHeaderAsEmptyFieldNumber});
  HeaderMatcher out;
  if (proto.name().empty()) fields.refuse("needs a name");
  out.set_name(proto.name());
  if (out.name.starts_with(':') && out.pseudo == HeaderMatcher::Pseudo::kNone) fields.refuse("unknown header " + out.name);
  out.invert = proto.invert_match();
  out.missing_is_empty = proto.treat_missing_header_as_empty();
  if (std::optional<StringMatcher> string = old_string_match(proto, fields)) {
    out.kind = HeaderMatcher::Kind::kString;
    out.string = *std::move(string);
  } else if (proto.has_range_match()) {
    out.kind = HeaderMatcher::Kind::kRange;
    fields.only(proto.range_match(), {proto.range_match().kStartFieldNumber, proto.range_match().kEndFieldNumber});
    out.range_start = proto.range_match().start();
    out.range_end = proto.range_match().end();
  } else if (proto.header_match_specifier_case() == route::HeaderMatcher::kPresentMatch) {
    out.present = proto.present_match();
  }
  return out;
}

namespace {

QueryParameterMatcher compile_query_parameter(const route::QueryParameterMatcher& proto, Fields& fields) {
  fields.only(proto, {proto.kNameFieldNumber, proto.kStringMatchFieldNumber, proto.kPresentMatchFieldNumber});
  QueryParameterMatcher out;
  if (proto.name().empty()) fields.refuse("needs a name");
  out.name = proto.name();
  if (proto.has_string_match()) {
    const Fields::At at(fields, "string_match");
    out.string = fields.string_matcher(proto.string_match());
  } else if (proto.has_present_match() && !proto.present_match()) {
    const Fields::At at(fields, "present_match");
    fields.unsupported("false is not supported");
  }
  return out;
}

void compile_path(const route::RouteMatch& proto, RouteMatch& out, Fields& fields) {
  using Proto = route::RouteMatch;
  switch (proto.path_specifier_case()) {
    case Proto::kPrefix:
      out.path_kind = RouteMatch::PathKind::kPrefix;
      out.path = proto.prefix();
      break;
    case Proto::kPath:
      out.path_kind = RouteMatch::PathKind::kExact;
      out.path = proto.path();
      break;
    case Proto::kPathSeparatedPrefix: {
      const Fields::At at(fields, "path_separated_prefix");
      out.path_kind = RouteMatch::PathKind::kSeparatedPrefix;
      out.path = proto.path_separated_prefix();
      if (!out.path.starts_with('/') || out.path.ends_with('/')) fields.refuse("must begin with '/' and not end with it");
      break;
    }
    case Proto::kSafeRegex: {
      const Fields::At at(fields, "safe_regex");
      out.path_kind = RouteMatch::PathKind::kRegex;
      out.path = proto.safe_regex().regex();
      out.conditions().regex = fields.regex(proto.safe_regex());
      break;
    }
    case Proto::kConnectMatcher: 
      fields.only(proto.connect_matcher(), {});
      out.connect_only = true;
      break;
    case Proto::kPathMatchPolicy: fields.unsupported("path_match_policy (URI template) is not supported"); break;
    case Proto::PATH_SPECIFIER_NOT_SET: fields.refuse("needs prefix, path, safe_regex or path_separated_prefix"); break;
  }
}

}  // namespace

RouteMatch compile_route_match(const route::RouteMatch& proto, Fields& fields) {
  fields.only(proto, {proto.kPrefixFieldNumber, proto.kPathFieldNumber, proto.kSafeRegexFieldNumber,
                      proto.kPathSeparatedPrefixFieldNumber, proto.kConnectMatcherFieldNumber,
                      proto.kPathMatchPolicyFieldNumber, proto.kCaseSensitiveFieldNumber, proto.kHeadersFieldNumber,
                      proto.kQueryParametersFieldNumber, proto.kRuntimeFractionFieldNumber, proto.kGrpcFieldNumber});
  RouteMatch out;
  compile_path(proto, out, fields);
  out.case_sensitive = !proto.has_case_sensitive() || proto.case_sensitive().value();
  for (int i = 0; i < proto.headers_size(); ++i) {
    const Fields::At at(fields, "headers", i);
    out.conditions().headers.push_back(compile_header_matcher(proto.headers(i), fields));
  }
  for (int i = 0; i < proto.query_parameters_size(); ++i) {
    const Fields::At at(fields, "query_parameters", i);
    out.conditions().query_parameters.push_back(compile_query_parameter(proto.query_parameters(i), fields));
  }
  if (proto.has_runtime_fraction()) {
    out.conditions().fraction = Fraction{fields.fraction(proto.runtime_fraction(), "runtime_fraction")};
  }
  fields.only(proto.grpc(), {});
  out.grpc_only = proto.has_grpc();
  return out;
}

}  // namespace lateen::runtime
