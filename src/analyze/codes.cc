#include "analyze/codes.h"

#include <array>

#include "model/codes.h"

namespace lateen::analyze {

namespace {

using enum Severity;

constexpr std::array<Code, 14> kReading = {{
    {model::kSyntax, kError, "not valid YAML or JSON", "is not valid YAML: {0}", ""},
    {model::kNotAManifest, kError, "not a manifest", "the document has no {0}", "a manifest has apiVersion, kind and metadata"},
    {model::kUnknownField, kError, "unknown field", "unknown field \"{0}\"", "did you mean \"{1}\"?"},
    {model::kWrongType, kError, "wrong type of value", "must be {0}, not {1}", "quote a string; give a duration its unit; write a list with dashes"},
    {model::kBadValue, kError, "value out of range or malformed", "{0}", ""},
    {model::kMissingField, kError, "required field is missing", "{0}", ""},
    {model::kConflictingFields, kError, "fields exclude each other", "{0}", "take one of them out"},
    {model::kUnknownKind, kError, "unknown kind or version", "unknown kind \"{0}\"", "did you mean {1}?"},
    {model::kUnsupportedKind, kError, "kind is refused", "{0} is not supported yet, and so it is refused rather than ignored", ""},
    {model::kUnsupportedField, kError, "field is not carried out yet", "is not carried out yet", "take it out"},
    {model::kDuplicateObject, kError, "object is defined twice", "is defined twice, first in line {0}", "take one of them out, or give it another name"},
    {model::kEmptyField, kWarning, "field without a value", "has no value and is ignored, as in Kubernetes", "give it a value or take it out"},
    {model::kDeprecatedField, kWarning, "deprecated field", "is deprecated", ""},
    {model::kNoEffect, kWarning, "accepted without effect", "{0}", ""},
}};

// In the order of Finding. 01xx: which rule takes a request; 02xx: time, tries and faults; 03xx: policies; 04xx: gateways
// and registry.
constexpr std::array<Code, 35> kFindings = {{
    {"LTN0101", kWarning, "weights do not sum to 100", "the weights sum to {0}, not to 100, and are taken as shares of the sum: {1}", "write weights that sum to 100 if you mean percent"},
    {"LTN0102", kWarning, "weight of a single destination", "the weight {0} has no effect: the only destination takes everything", "take the weight out, or add the destination that gets the rest"},
    {"LTN0103", kError, "unknown destination host", "no Service or ServiceEntry has the host {0}, so requests of this route are answered 503", "{1}"},
    {"LTN0104", kError, "unknown subset", "no DestinationRule defines the subset {0} of {1}, so requests of this route are answered 503", "{2}"},
    {"LTN0105", kWarning, "rule is never reached", "is never reached: {0} takes every request before it", "move it up, or narrow the match before it"},
    {"LTN0106", kWarning, "match is never reached", "never takes a request: {0} takes all of them before it", "take it out, move its rule up, or narrow the match before it"},
    {"LTN0107", kWarning, "VirtualService is not in effect", "NOT IN EFFECT for {0}: {1} is older and owns the host, and rules of several VirtualServices are not joined",
     "`lateen apply --takeover -f FILE` makes this one the owner; or write all rules of the host into one VirtualService"},
    {"LTN0108", kInfo, "prefix takes more than its path", "the prefix {0} also takes {0}bar: it ends anywhere, not at a slash", "for whole path segments write two matches: exact: {0}, and prefix: {0}/"},
    {"LTN0109", kInfo, "regex that could be simpler", "the regular expression {0} says no more than {1}", "write {1}: it is read with less effort, by people and by the proxy"},
    {"LTN0110", kWarning, "header name is not lower case", "the header {0} is to be written in lower case: HTTP/2 has no other", "write {1}"},
    {"LTN0111", kWarning, "header match that is ignored", "{0} is no header: Istio ignores it here", "write {0} as a field of the match, beside headers"},
    {"LTN0112", kWarning, "match on a port that nothing has", "no service of this rule's hosts has the port {0}, so the match never takes a request", "{1}"},
    {"LTN0113", kWarning, "destination port that the service lacks", "{0} has no port {1}, so requests of this route are answered 503", "{2}"},
    {"LTN0114", kWarning, "VirtualService for an unknown host", "no Service or ServiceEntry has the host {0}, so nothing in the mesh calls it", "{1}"},
    {"LTN0115", kWarning, "mirror that leads nowhere", "{0}, so no request is mirrored there", "{1}"},

    {"LTN0201", kWarning, "timeout cuts the tries off", "the timeout {0} is over before the tries are: (1 + {1} attempts) x perTryTimeout {2} = {3}; {4}",
     "write timeout: {3}, or attempts: {5}, or a shorter perTryTimeout"},
    {"LTN0202", kWarning, "perTryTimeout is longer than the timeout", "one try may take {0}, longer than the timeout {1} of the whole request, so it is never tried again after a slow try",
     "write a perTryTimeout below {1}"},
    {"LTN0203", kWarning, "injected delay and timeout on one route", "{0}", "{1}"},
    {"LTN0204", kWarning, "injected aborts are not retried", "the injected abort is never retried, whatever retries says: {0} % of the requests fail",
     "inject the abort at the service that is called next, or take the retries out of this route"},
    {"LTN0205", kWarning, "fault without a percentage", "the {0} has no percentage, which means 0 %: it never happens", "write percentage: {value: 100}"},

    {"LTN0301", kWarning, "ejection can never happen", "no endpoint can ever be ejected: maxEjectionPercent {0} % of {1} is less than one endpoint", "write maxEjectionPercent: {2}, or more"},
    {"LTN0302", kInfo, "the only endpoint can be ejected", "{0}, and while it is ejected every request is answered 503", "run a second one: `lateen echo --service {1} --version {2}`"},
    {"LTN0303", kWarning, "consecutiveGatewayErrors has no effect", "consecutiveGatewayErrors {0} never counts: a gateway error is a 5xx too, and consecutive5xxErrors {1} ejects no later",
     "write a consecutiveGatewayErrors below {1}, or consecutive5xxErrors: 0"},
    {"LTN0304", kWarning, "port settings inherit nothing", "the settings of port {0} replace the whole policy: {1} above does not hold there", "repeat it under portLevelSettings if you want it"},
    {"LTN0305", kWarning, "policy for a port that the service lacks", "{0} has no port {1}, so these settings hold nowhere", "{2}"},
    {"LTN0306", kWarning, "subset selects no endpoint", "the labels {0} select none of the {1} of {2}, so requests to this subset are answered 503", "{3}"},
    {"LTN0307", kWarning, "DestinationRule for an unknown host", "no Service or ServiceEntry has the host {0}, so the rule holds nowhere", "{1}"},
    {"LTN0308", kWarning, "several DestinationRules for one host", "the host {0} has an older rule, {1}: only subsets that it lacks are taken from here{2}", "write one DestinationRule for each host"},

    {"LTN0401", kError, "unknown gateway", "there is no Gateway {0}, so the rule holds on none of its servers", "{1}"},
    {"LTN0402", kWarning, "host that the gateway does not serve", "no server of Gateway {0} serves the host {1}", "add the host to the Gateway's servers, which serve {2}"},
    {"LTN0403", kWarning, "host that several entries define", "the host {0} is also defined by {1}: which one a client gets depends on its namespace and on their age", "keep one of them"},
    {"LTN0404", kInfo, "hosts were not checked", "there is no Service and no ServiceEntry among these files, so destination hosts were not checked", "analyze them together with the services, or ask the running mesh: `lateen analyze`"},
    {"LTN0405", kError, "Secret that is not there", "{0}, so {1}", "{2}"},
    {"LTN0406", kError, "Secret that TLS cannot use", "{0}: {1}, so {2}; what was served before is served on", "{3}"},
    {"LTN0407", kWarning, "credentialName that workloads do not follow", "only gateways get the Secret {0}: workloads of the mesh call {1} without TLS, as in Istio",
     "for workloads write files: caCertificates, and for MUTUAL clientCertificate and privateKey"},
}};

}  // namespace

const Code& code_of(Finding finding) { return kFindings[static_cast<std::size_t>(finding)]; }
std::span<const Code> finding_codes() { return kFindings; }
std::span<const Code> reading_codes() { return kReading; }

std::string fill_in(std::string_view text, std::initializer_list<std::string> arguments) {
  std::string out;
  while (!text.empty()) {
    const bool slot = text.size() >= 3 && text[0] == '{' && text[2] == '}' && text[1] >= '0' && text[1] <= '9';
    if (!slot) {
      out += text[0];
      text.remove_prefix(1);
      continue;
    }
    const auto index = static_cast<std::size_t>(text[1] - '0');
    if (index < arguments.size()) out += *(arguments.begin() + index);
    text.remove_prefix(3);
  }
  return out;
}

}  // namespace lateen::analyze
