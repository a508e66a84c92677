#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "analyze/analyze.h"
#include "analyze/codes.h"
#include "analyze/coverage.h"
#include "model/read.h"

namespace lateen::analyze {
namespace {

using translate::Compat;

// Two services with endpoints: reviews v1, v2 and ratings v1, each on port 9080.
constexpr std::string_view kServices = R"(
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  ports: [{number: 9080, name: http, protocol: HTTP}]
  resolution: STATIC
  location: MESH_INTERNAL
  endpoints:
  - {address: 127.0.0.1, ports: {http: 1}, labels: {version: v1}}
  - {address: 127.0.0.1, ports: {http: 2}, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ratings}
spec:
  hosts: [ratings.default.svc.cluster.local]
  ports: [{number: 9080, name: http, protocol: HTTP}]
  resolution: STATIC
  location: MESH_INTERNAL
  endpoints: [{address: 127.0.0.1, ports: {http: 3}, labels: {version: v1}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: subsets}
spec:
  host: reviews
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
)";

model::Mesh mesh_of(std::initializer_list<std::pair<std::string, std::string>> files) {
  model::Mesh mesh;
  for (const auto& [name, text] : files) {
    const model::ReadResult read = model::read_manifests(text, name);
    for (const Diagnostic& problem : read.problems) EXPECT_NE(problem.severity, Severity::kError) << to_string(problem);
    for (const model::ObjectPtr& object : read.objects) mesh.objects[object->key()] = object;
  }
  return mesh;
}

std::vector<std::string> texts(const std::vector<Diagnostic>& found) {
  std::vector<std::string> out;
  for (const Diagnostic& finding : found) out.push_back(to_string(finding));
  return out;
}

// A VirtualService for reviews whose http list is these lines, from line 7 on.
std::string rules(std::string_view lines, std::string_view name = "r") {
  std::string text = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " + std::string(name) + "}\nspec:\n  hosts: [reviews]\n  http:\n";
  std::stringstream in{std::string(lines)};
  for (std::string line; std::getline(in, line);) text += "  " + line + "\n";
  return text;
}

std::string policy(std::string_view lines, std::string_view host = "ratings") {
  std::string text = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: z}\nspec:\n  host: " + std::string(host) + "\n";
  std::stringstream in{std::string(lines)};
  for (std::string line; std::getline(in, line);) text += "  " + line + "\n";
  return text;
}

struct Case {
  std::string text;
  std::vector<std::string> lateen;             // all that is found, word for word
  std::optional<std::vector<std::string>> istio = std::nullopt;  // where it differs
};

void check(const Case& test) {
  const model::Mesh mesh = mesh_of({{"base.yaml", std::string(kServices)}, {"f.yaml", test.text}});
  EXPECT_EQ(texts(analyze(mesh, Compat::kLateen)), test.lateen) << test.text;
  EXPECT_EQ(texts(analyze(mesh, Compat::kIstio)), test.istio.value_or(test.lateen)) << test.text;
}

const std::string kRoute = "- route: [{destination: {host: reviews, subset: v1}}]";
const std::string kVs = "VirtualService default/r: spec.";

TEST(Analyze, CleanRulesFindNothing) {
  check({rules("- match: [{headers: {end-user: {exact: jason}}}]\n  route: [{destination: {host: reviews, subset: v2}}]\n" + kRoute), {}});
  check({rules("- route:\n  - {destination: {host: reviews, subset: v1}, weight: 90}\n  - {destination: {host: reviews, subset: v2}, weight: 10}"), {}});
  check({rules("- timeout: 12s\n  retries: {attempts: 3, perTryTimeout: 3s}\n  route: [{destination: {host: reviews}}]"), {}});
}

TEST(Analyze, Weights) {
  check({rules("- route:\n  - {destination: {host: reviews, subset: v1}, weight: 50}\n  - {destination: {host: reviews, subset: v2}, weight: 30}"),
         {"f.yaml:7:5: warning LTN0101: " + kVs + "http[0].route: the weights sum to 80, not to 100, and are taken as shares of the sum: v1 50/80 = 62.5 %, v2 30/80 = 37.5 %\n"
          "    fix: write weights that sum to 100 if you mean percent"}});
  check({rules("- route: [{destination: {host: reviews, subset: v1}, weight: 5}]"),
         {"f.yaml:7:56: warning LTN0102: " + kVs + "http[0].route[0].weight: the weight 5 has no effect: the only destination takes everything\n"
          "    fix: take the weight out, or add the destination that gets the rest"}});
}

TEST(Analyze, UnknownHostSubsetAndPort) {
  check({rules("- route: [{destination: {host: review}}]"),
         {"f.yaml:7:28: error LTN0103: " + kVs + "http[0].route[0].destination.host: no Service or ServiceEntry has the host review, so requests of this route are answered 503\n"
          "    fix: did you mean reviews? Or start it: `lateen echo --service review --version v1`"}});
  check({rules("- route: [{destination: {host: reviews, subset: vv1}}]"),
         {"f.yaml:7:43: error LTN0104: " + kVs + "http[0].route[0].destination.subset: no DestinationRule defines the subset vv1 of reviews, so requests of this route are answered 503\n"
          "    fix: did you mean v1? DestinationRule default/subsets (base.yaml:29:3) defines v1, v2"}});
  check({rules("- route: [{destination: {host: ratings, subset: v1}}]"),
         {"f.yaml:7:43: error LTN0104: " + kVs + "http[0].route[0].destination.subset: no DestinationRule defines the subset v1 of ratings, so requests of this route are answered 503\n"
          "    fix: write a DestinationRule for ratings with this subset"}});
  const std::string mirrored = "http[0].mirrors[0].destination";
  const auto mirror = [](const std::string& to) { return rules("- mirrors: [{destination: {" + to + "}}]\n  route: [{destination: {host: reviews, subset: v1}}]"); };
  check({mirror("host: reviews, subset: v2, port: {number: 9080}"), {}});
  check({mirror("host: review"), {"f.yaml:7:30: warning LTN0115: " + kVs + mirrored + ".host: no Service or ServiceEntry has the host review, so no request is mirrored there\n"
                                  "    fix: did you mean reviews? Or start it: `lateen echo --service review --version v1`"}});
  check({mirror("host: reviews, subset: v8"), {"f.yaml:7:45: warning LTN0115: " + kVs + mirrored + ".subset: no DestinationRule defines the subset v8 of reviews, so no request is mirrored there\n"
                                  "    fix: did you mean v1? DestinationRule default/subsets (base.yaml:29:3) defines v1, v2"}});
  check({mirror("host: reviews, port: {number: 81}"), {"f.yaml:7:45: warning LTN0115: " + kVs + mirrored + ".port: reviews has no port 81, so no request is mirrored there\n    fix: its ports are 9080"}});
  check({rules("- route: [{destination: {host: reviews, port: {number: 80}}}]"),
         {"f.yaml:7:43: warning LTN0113: " + kVs + "http[0].route[0].destination.port: reviews has no port 80, so requests of this route are answered 503\n    fix: its ports are 9080"}});
}

TEST(Analyze, RulesAloneAreNotBlamedForHostsElsewhere) {
  const model::Mesh mesh = mesh_of({{"f.yaml", rules(kRoute)}});
  const std::vector<Diagnostic> found = analyze(mesh, Compat::kLateen);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].code, "LTN0404");
  EXPECT_EQ(found[1].code, "LTN0104");
  EXPECT_EQ(found[1].severity, Severity::kWarning);
}

TEST(Analyze, UnreachableRules) {
  const std::string fix = "\n    fix: move it up, or narrow the match before it";
  check({rules(kRoute + "\n- match: [{uri: {exact: /never}}]\n  route: [{destination: {host: reviews}}]"),
         {"f.yaml:8:5: warning LTN0105: " + kVs + "http[1]: is never reached: the catch-all spec.http[0] (f.yaml:7:5) takes every request before it" + fix}});
  check({rules("- match: [{uri: {prefix: /a/}}]\n  route: [{destination: {host: reviews}}]\n- match: [{uri: {prefix: /a/b/}, method: {exact: GET}}]\n  route: [{destination: {host: reviews}}]"),
         {"f.yaml:9:5: warning LTN0105: " + kVs + "http[1]: is never reached: the wider match spec.http[0].match[0] (f.yaml:7:13) takes every request before it" + fix}});
  check({rules("- match: [{uri: {exact: /a}}]\n  route: [{destination: {host: reviews}}]\n- match: [{uri: {exact: /a}}, {uri: {exact: /b}}]\n  route: [{destination: {host: reviews}}]"),
         {"f.yaml:9:13: warning LTN0106: " + kVs + "http[1].match[0]: never takes a request: the wider match spec.http[0].match[0] (f.yaml:7:13) takes all of them before it\n"
          "    fix: take it out, move its rule up, or narrow the match before it"}});
}

TEST(Coverage, IsNeverClaimedByMistake) {
  const auto match = [](std::string_view flow) {
    const model::ReadResult read = model::read_manifests(rules("- match: [" + std::string(flow) + "]\n  route: [{destination: {host: a}}]"), "f");
    EXPECT_EQ(read.objects.size(), 1u) << flow << (read.problems.empty() ? "" : to_string(read.problems[0]));
    return std::get<model::VirtualService>(read.objects.at(0)->spec).http.at(0).match.at(0);
  };
  struct Pair {
    std::string_view wide, narrow;
    bool covered;
  };
  const Pair pairs[] = {
      {"{uri: {prefix: /}}", "{headers: {a: {exact: b}}}", true},
      {"{uri: {regex: .*}}", "{uri: {regex: /a.b}}", true},
      {"{uri: {prefix: /a}}", "{uri: {exact: /ab}}", true},
      {"{uri: {exact: /a}}", "{uri: {prefix: /a}}", false},
      {"{uri: {prefix: /a}}", "{uri: {regex: /a.*}}", false},
      {"{uri: {prefix: /a}}", "{uri: {prefix: /A}, ignoreUriCase: true}", false},
      {"{uri: {prefix: /A}, ignoreUriCase: true}", "{uri: {exact: /ab}}", true},
      {"{headers: {a: {}}}", "{headers: {a: {exact: x}, b: {exact: z}}}", true},
      {"{headers: {a: {exact: x}, b: {}}}", "{headers: {a: {exact: x}}}", false},
      {"{withoutHeaders: {a: {exact: x}}}", "{withoutHeaders: {a: {prefix: x}}}", true},
      {"{withoutHeaders: {a: {prefix: x}}}", "{withoutHeaders: {a: {exact: x}}}", false},
      {"{withoutHeaders: {a: {}}}", "{uri: {exact: /}}", false},
      {"{queryParams: {q: {exact: x}}}", "{queryParams: {q: {exact: x}}, port: 1}", true},
      {"{port: 1}", "{port: 2}", false},
      {"{port: 1}", "{uri: {exact: /}}", false},
      {"{sourceLabels: {a: b}}", "{sourceLabels: {a: b, c: d}}", true},
      {"{sourceLabels: {a: b, c: d}}", "{sourceLabels: {a: b}}", false},
      {"{sourceNamespace: a}", "{sourceNamespace: b}", false},
      {"{gateways: [a, b]}", "{gateways: [a]}", true},
      {"{gateways: [a]}", "{gateways: [a, b]}", false},
      {"{gateways: [a]}", "{uri: {exact: /}}", false},
      {"{method: {exact: GET}}", "{method: {regex: GET}}", false},
      {"{method: {regex: GET|PUT}}", "{method: {regex: GET|PUT}}", true},
  };
  for (const Pair& pair : pairs) EXPECT_EQ(covers(match(pair.wide), match(pair.narrow)), pair.covered) << pair.wide << " " << pair.narrow;
}

TEST(Analyze, TheOldestVirtualServiceOwnsItsHosts) {
  const std::string second = rules(kRoute, "z");
  check({rules(kRoute, "a") + "---\n" + second,
         {"f.yaml:13:11: warning LTN0107: VirtualService default/z: spec.hosts[0]: NOT IN EFFECT for reviews: VirtualService default/a (f.yaml:5:3) is older and owns the host, "
          "and rules of several VirtualServices are not joined\n"
          "    fix: `lateen apply --takeover -f FILE` makes this one the owner; or write all rules of the host into one VirtualService"}});
  std::string private_rule = rules(kRoute, "a");
  private_rule.replace(private_rule.find("spec:"), 5, "spec:\n  exportTo: [other]");
  check({private_rule + "---\n" + second, {}});
}

TEST(Analyze, SlipsInMatches) {
  const std::string to = "\n  route: [{destination: {host: reviews}}]";
  check({rules("- match: [{uri: {prefix: /foo}}]" + to),
         {"f.yaml:7:20: info LTN0108: " + kVs + "http[0].match[0].uri.prefix: the prefix /foo also takes /foobar: it ends anywhere, not at a slash\n"
          "    fix: for whole path segments write two matches: exact: /foo, and prefix: /foo/"}});
  check({rules("- match: [{uri: {regex: /api/.*}}]" + to),
         {"f.yaml:7:20: info LTN0109: " + kVs + "http[0].match[0].uri.regex: the regular expression /api/.* says no more than prefix: /api/\n"
          "    fix: write prefix: /api/: it is read with less effort, by people and by the proxy"}});
  check({rules("- match: [{headers: {End-User: {exact: x}, uri: {exact: /}}}]" + to),
         {"f.yaml:7:24: warning LTN0110: " + kVs + "http[0].match[0].headers.End-User: the header End-User is to be written in lower case: HTTP/2 has no other\n    fix: write end-user",
          "f.yaml:7:46: warning LTN0111: " + kVs + "http[0].match[0].headers.uri: uri is no header: Istio ignores it here\n    fix: write uri as a field of the match, beside headers"}});
  check({rules("- match: [{port: 80}]" + to),
         {"f.yaml:7:14: warning LTN0112: " + kVs + "http[0].match[0].port: no service of this rule's hosts has the port 80, so the match never takes a request\n    fix: reviews has 9080"}});
}

TEST(Analyze, HostThatNothingHas) {
  std::string text = rules(kRoute);
  text.replace(text.find("hosts: [reviews]"), 16, "hosts: [ratingz]");
  check({text,
         {"f.yaml:5:11: warning LTN0114: " + kVs + "hosts[0]: no Service or ServiceEntry has the host ratingz, so nothing in the mesh calls it\n"
          "    fix: did you mean ratings? Or start it: `lateen echo --service ratingz --version v1`"}});
}

TEST(Analyze, TimeoutAgainstTheTriesOfTheTutorial) {
  const auto route = [](std::string_view settings) { return rules("- " + std::string(settings) + "\n  route: [{destination: {host: reviews}}]"); };
  check({route("timeout: 10s\n  retries: {attempts: 3, perTryTimeout: 3s}"),
         {"f.yaml:7:5: warning LTN0201: " + kVs + "http[0].timeout: the timeout 10s is over before the tries are: (1 + 3 attempts) x perTryTimeout 3s = 12s; try 4 of 4 has at most 1s left\n"
          "    fix: write timeout: 12s, or attempts: 2, or a shorter perTryTimeout"}});
  check({route("timeout: 6s\n  retries: {attempts: 3, perTryTimeout: 3s}"),
         {"f.yaml:7:5: warning LTN0201: " + kVs + "http[0].timeout: the timeout 6s is over before the tries are: (1 + 3 attempts) x perTryTimeout 3s = 12s; try 3 of 4 has no time left\n"
          "    fix: write timeout: 12s, or attempts: 1, or a shorter perTryTimeout"}});
  check({route("timeout: 2s\n  retries: {attempts: 3, perTryTimeout: 3s}"),
         {"f.yaml:8:28: warning LTN0202: " + kVs + "http[0].retries.perTryTimeout: one try may take 3s, longer than the timeout 2s of the whole request, so it is never tried again after a slow try\n"
          "    fix: write a perTryTimeout below 2s"}});
  check({route("timeout: 1ms\n  retries: {attempts: 2147483647, perTryTimeout: 1ms}"),
         {"f.yaml:7:5: warning LTN0201: " + kVs + "http[0].timeout: the timeout 1ms is over before the tries are: (1 + 2147483647 attempts) x perTryTimeout 1ms = far more; try 2 of 2147483648 has no time left\n"
          "    fix: write timeout: far more, or attempts: 0, or a shorter perTryTimeout"}});
}

TEST(Analyze, Faults) {
  const auto route = [](std::string_view settings) { return rules("- " + std::string(settings) + "\n  route: [{destination: {host: reviews}}]"); };
  check({route("timeout: 2s\n  fault: {delay: {fixedDelay: 3s, percentage: {value: 100}}}"),
         {"f.yaml:8:13: warning LTN0203: " + kVs + "http[0].fault.delay: the injected delay 3s counts against the timeout 2s: 100 % of the requests are answered 504 at 2s and never reach the service\n"
          "    fix: this is what the tutorial expects; real Envoys answer 200 after 3s (--compat istio does the same)"},
         {{"f.yaml:8:13: warning LTN0203: " + kVs + "http[0].fault.delay: the timeout 2s starts only after the injected delay 3s: 100 % of the requests take 3s longer, and the delay never causes a 504\n"
           "    fix: leave out --compat istio to let the delay count; real Envoys need the delay in the service that is called"}}});
  check({route("fault: {abort: {httpStatus: 503, percentage: {value: 10}}}\n  retries: {attempts: 3}"),
         {"f.yaml:7:13: warning LTN0204: " + kVs + "http[0].fault.abort: the injected abort is never retried, whatever retries says: 10 % of the requests fail\n"
          "    fix: inject the abort at the service that is called next, or take the retries out of this route"}});
  check({route("fault: {delay: {fixedDelay: 3s}}"),
         {"f.yaml:7:13: warning LTN0205: " + kVs + "http[0].fault.delay: the delay has no percentage, which means 0 %: it never happens\n    fix: write percentage: {value: 100}"}});
  check({route("fault: {abort: {httpStatus: 503}}"),
         {"f.yaml:7:13: warning LTN0205: " + kVs + "http[0].fault.abort: the abort has no percentage, which means 0 %: it never happens\n    fix: write percentage: {value: 100}"}});
}

TEST(Analyze, EjectionsThatCannotHappen) {
  const std::string dr = "DestinationRule default/z: spec.";
  check({policy("trafficPolicy: {outlierDetection: {consecutive5xxErrors: 2, maxEjectionPercent: 50}}"),
         {"f.yaml:6:19: info LTN0302: " + dr + "trafficPolicy.outlierDetection: ratings has only one endpoint, and while it is ejected every request is answered 503\n"
          "    fix: run a second one: `lateen echo --service ratings --version v1`"},
         {{"f.yaml:6:63: warning LTN0301: " + dr + "trafficPolicy.outlierDetection.maxEjectionPercent: no endpoint can ever be ejected: maxEjectionPercent 50 % of the 1 endpoint of ratings is less than one endpoint\n"
           "    fix: write maxEjectionPercent: 100, or more"}}});
  check({policy("trafficPolicy: {outlierDetection: {consecutive5xxErrors: 2, maxEjectionPercent: 100}}\nsubsets: [{name: one, labels: {version: v1}}, {name: two, labels: {version: v1}}]"),
         {"f.yaml:6:19: info LTN0302: " + dr + "trafficPolicy.outlierDetection: ratings has only one endpoint, and while it is ejected every request is answered 503\n"
          "    fix: run a second one: `lateen echo --service ratings --version v1`"}});
  check({policy("trafficPolicy: {outlierDetection: {consecutive5xxErrors: 2}}", "reviews.default.svc.cluster.local"),
         {"f.yaml:5:3: warning LTN0308: " + dr + "host: the host reviews.default.svc.cluster.local has an older rule, DestinationRule default/subsets (base.yaml:28:3): "
          "only subsets that it lacks are taken from here, and its trafficPolicy holds nowhere\n    fix: write one DestinationRule for each host"},
         {{"f.yaml:5:3: warning LTN0308: " + dr + "host: the host reviews.default.svc.cluster.local has an older rule, DestinationRule default/subsets (base.yaml:28:3): "
           "only subsets that it lacks are taken from here, and its trafficPolicy holds nowhere\n    fix: write one DestinationRule for each host",
           "f.yaml:6:19: warning LTN0301: " + dr + "trafficPolicy.outlierDetection.maxEjectionPercent: no endpoint can ever be ejected: maxEjectionPercent 10 % of the 2 endpoints of reviews is less than one endpoint\n"
           "    fix: write maxEjectionPercent: 50, or more"}}});
  check({policy("trafficPolicy: {outlierDetection: {consecutiveGatewayErrors: 7, maxEjectionPercent: 100}}"),
         {"f.yaml:6:19: info LTN0302: " + dr + "trafficPolicy.outlierDetection: ratings has only one endpoint, and while it is ejected every request is answered 503\n"
          "    fix: run a second one: `lateen echo --service ratings --version v1`",
          "f.yaml:6:38: warning LTN0303: " + dr + "trafficPolicy.outlierDetection.consecutiveGatewayErrors: consecutiveGatewayErrors 7 never counts: a gateway error is a 5xx too, and consecutive5xxErrors 5 (the default) ejects no later\n"
          "    fix: write a consecutiveGatewayErrors below 5 (the default), or consecutive5xxErrors: 0"}});
}

TEST(Analyze, SubsetsWithOneEndpointAreNamedTogether) {
  const std::string lines = "trafficPolicy: {outlierDetection: {maxEjectionPercent: 100}}\nsubsets: [{name: a, labels: {version: v1}}, {name: b, labels: {version: v2}}]";
  model::Mesh mesh = mesh_of({{"base.yaml", std::string(kServices)}, {"f.yaml", policy(lines, "reviews")}});
  mesh.objects.erase({model::Kind::kDestinationRule, "default", "subsets"});
  EXPECT_EQ(texts(analyze(mesh, Compat::kLateen)),
            std::vector<std::string>{"f.yaml:6:19: info LTN0302: DestinationRule default/z: spec.trafficPolicy.outlierDetection: each of the subsets a and b has only one "
                                     "endpoint, and while it is ejected every request is answered 503\n    fix: run a second one: `lateen echo --service reviews --version a`"});
}

TEST(Analyze, Policies) {
  const std::string dr = "DestinationRule default/z: spec.";
  check({policy("subsets: [{name: v9, labels: {version: v9}}]"),
         {"f.yaml:6:24: warning LTN0306: " + dr + "subsets[0].labels: the labels version=v9 select none of the 1 endpoint of ratings, so requests to this subset are answered 503\n"
          "    fix: their version is v1; start one: `lateen echo --service ratings --version v9`"}});
  check({policy("subsets: []", "nosuch"),
         {"f.yaml:5:3: warning LTN0307: " + dr + "host: no Service or ServiceEntry has the host nosuch, so the rule holds nowhere\n"
          "    fix: write a Service or ServiceEntry for it, or start one: `lateen echo --service nosuch --version v1`"}});
  check({policy("trafficPolicy:\n  connectionPool: {tcp: {maxConnections: 1}}\n  portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]"),
         {"f.yaml:8:25: warning LTN0304: " + dr + "trafficPolicy.portLevelSettings[0]: the settings of port 80 replace the whole policy: connectionPool above does not hold there\n"
          "    fix: repeat it under portLevelSettings if you want it",
          "f.yaml:8:26: warning LTN0305: " + dr + "trafficPolicy.portLevelSettings[0].port: ratings has no port 80, so these settings hold nowhere\n    fix: its ports are 9080"}});
}

TEST(Analyze, GatewaysAndEntries) {
  std::string text = rules(kRoute);
  text.replace(text.find("spec:"), 5, "spec:\n  gateways: [gww]");
  const std::string gateway = "---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: gw}\nspec: {servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [\"*.example.com\"]}]}\n";
  check({text + gateway, {"f.yaml:5:14: error LTN0401: " + kVs + "gateways[0]: there is no Gateway gww, so the rule holds on none of its servers\n    fix: did you mean default/gw?"}});
  text.replace(text.find("gww"), 3, "gw");
  check({text + gateway, {"f.yaml:6:11: warning LTN0402: " + kVs + "hosts[0]: no server of Gateway gw serves the host reviews\n    fix: add the host to the Gateway's servers, which serve *.example.com"}});
  check({"apiVersion: v1\nkind: Service\nmetadata: {name: ratings}\nspec: {clusterIP: 10.0.0.1, ports: [{name: http, port: 9080}]}\n",
         {"base.yaml:18:11: warning LTN0403: ServiceEntry default/ratings: spec.hosts[0]: the host ratings.default.svc.cluster.local is also defined by Service default/ratings (f.yaml:3:12): "
          "which one a client gets depends on its namespace and on their age\n    fix: keep one of them"}});
}

TEST(Codes, AreUniqueAndListedInTheDocumentation) {
  std::ifstream in(std::string(LATEEN_SOURCE_DIR) + "/docs/diagnostics.md");
  std::stringstream text;
  text << in.rdbuf();
  std::set<std::string_view> seen;
  const auto check_code = [&](const Code& code) {
    EXPECT_TRUE(seen.insert(code.code).second) << code.code;
    EXPECT_NE(text.str().find("| " + std::string(code.code) + " |"), std::string::npos) << code.code << " is not in docs/diagnostics.md";
    EXPECT_NE(text.str().find(std::string(code.title)), std::string::npos) << code.title;
  };
  for (const Code& code : reading_codes()) check_code(code);
  for (const Code& code : finding_codes()) check_code(code);
  EXPECT_EQ(code_of(Finding::kNothingToCheck).code, "LTN0404");
  EXPECT_EQ(code_of(Finding::kNeverEjected).code, "LTN0301");
  EXPECT_EQ(fill_in("{0} and {1}, {0} {x} {9}", {"a", "b"}), "a and b, a {x} ");
}

}  // namespace
}  // namespace lateen::analyze
