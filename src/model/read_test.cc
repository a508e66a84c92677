#include "model/read.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "model/metadata.h"
#include "model/protocol.h"
#include "model/supported.h"

namespace lateen::model {
namespace {

using namespace std::chrono_literals;

std::string errors_of(const ReadResult& result) {
  std::string text;
  for (const Diagnostic& problem : result.problems) text += to_string(problem) + "\n";
  return text;
}

const Object& only(const ReadResult& result) {
  EXPECT_EQ(result.objects.size(), 1u) << errors_of(result);
  static const Object kNone{};
  return result.objects.empty() ? kNone : *result.objects.front();
}

// A VirtualService with these lines in its only http route, which start in line 8, column 5.
std::string route(std::string_view lines) {
  std::string text = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: r\nspec:\n  hosts: [reviews]\n  http:\n  - name: only\n";
  std::stringstream in{std::string(lines)};
  for (std::string line; std::getline(in, line);) text += "    " + line + "\n";
  return text;
}

std::string rule(std::string_view lines) {
  std::string text = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata:\n  name: r\nspec:\n  host: reviews\n";
  std::stringstream in{std::string(lines)};
  for (std::string line; std::getline(in, line);) text += "  " + line + "\n";
  return text;
}

constexpr std::string_view kRoute = "route: [{destination: {host: reviews}}]\n";

struct Bad {
  std::string lines, first_problem;
};

// The whole message, word for word: place, object, field, what is wrong, what to write instead.
void expect_first(const std::string& text, const std::string& expected) {
  const ReadResult result = read_manifests(text, "f.yaml");
  EXPECT_TRUE(result.objects.empty()) << text;
  ASSERT_FALSE(result.problems.empty()) << text;
  std::string found = to_string(result.problems.front());
  EXPECT_EQ(found, expected) << errors_of(result);
}

TEST(ReadVirtualService, RefusesBadRoutes) {
  const std::string vs = "VirtualService default/r: spec.http[0]";
  const Bad cases[] = {
      {std::string(kRoute) + "retrys: {attempts: 1}", "f.yaml:10:5: error LTN0003: " + vs + ".retrys: unknown field \"retrys\"\n    fix: did you mean \"retries\"?"},
      {std::string(kRoute) + "per_try_timeout: 1s",
       "f.yaml:10:5: error LTN0003: " + vs + ".per_try_timeout: unknown field \"per_try_timeout\"\n    fix: the fields here are name, match, route, redirect, directResponse, "
                                             "delegate, rewrite, timeout, retries, fault, mirror, mirrorPercent, mirrorPercentage, mirrors, corsPolicy, headers"},
      {std::string(kRoute) + "timeout: 0s",
       "f.yaml:10:5: error LTN0005: " + vs + ".timeout: 0s is too short: the duration must be 1ms or more\n    fix: for no limit take the field out: without it there is none"},
      {std::string(kRoute) + "timeout: 10", "f.yaml:10:5: error LTN0004: " + vs + ".timeout: must be a duration, not the bare number 10\n    fix: give it a unit: 10s, or 10ms"},
      {std::string(kRoute) + "timeout: 10 s", "f.yaml:10:5: error LTN0005: " + vs + ".timeout: \"10 s\" is not a duration\n    fix: write a duration such as 10s, 1.5s, 250ms or 1h30m"},
      {std::string(kRoute) + "timeout: [10s]", "f.yaml:10:5: error LTN0004: " + vs + ".timeout: must be a string, not a list\n    fix: write a duration such as 10s, 1.5s, 250ms or 1h30m"},
      {"match: [{headers: {x: {exact: true}}}]\n" + std::string(kRoute),
       "f.yaml:9:28: error LTN0004: " + vs + ".match[0].headers.x.exact: must be a string, not true\n    fix: write \"true\" in quotes"},
      {"match: {uri: {prefix: /}}\n" + std::string(kRoute),
       "f.yaml:9:5: error LTN0004: " + vs + ".match: must be a list, not a mapping\n    fix: write it as a list: \"- ...\", one a line"},
      {"match: [{uri: {regex: \"a[\"}}]\n" + std::string(kRoute),
       "f.yaml:9:20: error LTN0005: " + vs + ".match[0].uri.regex: \"a[\" is not a regular expression: missing ]: [\n    fix: RE2 syntax, https://github.com/google/re2/wiki/Syntax"},
      {"match: [{uri: {exact: /a, prefix: /b}}]\n" + std::string(kRoute),
       "f.yaml:9:14: error LTN0007: " + vs + ".match[0].uri: takes one of exact, prefix and regex, not several"},
      {"match: [{headers: {\"a b\": {exact: x}}}]\n" + std::string(kRoute),
       "f.yaml:9:24: error LTN0005: " + vs + ".match[0].headers.a b: \"a b\" is not a header name\n    fix: use letters, digits, '-' and '_'"},
      {"match: [{port: 70000}]\n" + std::string(kRoute), "f.yaml:9:14: error LTN0005: " + vs + ".match[0].port: the port 70000 is not in range 1..65535"},
      {"route:\n- destination: {host: a}\n  weight: 0\n- destination: {host: b}",
       "f.yaml:9:5: error LTN0005: " + vs + ".route: every weight is 0 or missing: the sum of the weights must be more than 0\n    fix: give each destination its share: weight: 90, weight: 10"},
      {"route:\n- destination: {host: a}\n  weight: -5\n- destination: {host: b}\n  weight: 105", "f.yaml:11:7: error LTN0005: " + vs + ".route[0].weight: -5 is negative\n    fix: write 0 or more"},
      {"route:\n- destination: {host: a}\n  weight: \"90\"",
       "f.yaml:11:7: error LTN0004: " + vs + ".route[0].weight: must be a number, not the string \"90\"\n    fix: write 90 without quotes"},
      {"route: [{weight: 1}]", "f.yaml:9:13: error LTN0006: " + vs + ".route[0]: the route has no destination\n    fix: write destination: {host: NAME}"},
      {"route: [{destination: {subset: v1}}]", "f.yaml:9:14: error LTN0006: " + vs + ".route[0].destination: the destination has no host\n    fix: write host: NAME"},
      {"match: [{uri: {prefix: /}}]",
       "f.yaml:8:5: error LTN0006: " + vs + ": has no route, redirect or directResponse: one of them is required\n    fix: write route: [{destination: {host: NAME}}]"},
      {std::string(kRoute) + "redirect: {uri: /x}", "f.yaml:8:5: error LTN0007: " + vs + ": cannot hold both redirect and route\n    fix: take one of them out"},
      {std::string(kRoute) + "fault: {}", "f.yaml:10:5: error LTN0006: " + vs + ".fault: the fault has neither a delay nor an abort"},
      {std::string(kRoute) + "fault: {abort: {httpStatus: 700, percentage: {value: 1}}}", "f.yaml:10:21: error LTN0005: " + vs + ".fault.abort.httpStatus: the status 700 is not in range 200..599"},
      {std::string(kRoute) + "fault: {abort: {httpStatus: 500, percentage: {value: 150}}}",
       "f.yaml:10:38: error LTN0005: " + vs + ".fault.abort.percentage: the percentage 150 is neither 0 nor in range 0.0001..100"},
      {std::string(kRoute) + "fault: {abort: {httpStatus: 500, percentage: 10}}", "f.yaml:10:38: error LTN0004: " + vs + ".fault.abort.percentage: must be a mapping, not 10"},
      {std::string(kRoute) + "fault: {delay: {exponentialDelay: 1s}}", "f.yaml:10:21: error LTN0010: " + vs + ".fault.delay.exponentialDelay: is not supported yet\n    fix: take it out"},
      {std::string(kRoute) + "fault: {abort: {grpcStatus: UNAVAILBLE}}",
       "f.yaml:10:21: error LTN0005: " + vs + ".fault.abort.grpcStatus: \"UNAVAILBLE\" is not a gRPC status\n    fix: did you mean UNAVAILABLE?"},
      {std::string(kRoute) + "retries: {attempts: -1}", "f.yaml:10:15: error LTN0005: " + vs + ".retries.attempts: -1 is negative\n    fix: write 0 or more"},
      {std::string(kRoute) + "retries: {attempts: 1.5}", "f.yaml:10:15: error LTN0004: " + vs + ".retries.attempts: must be a whole number, not 1.5"},
      {std::string(kRoute) + "retries: {attempts: 9999999999}", "f.yaml:10:15: error LTN0005: " + vs + ".retries.attempts: 9999999999 is not in range -2147483648..2147483647"},
      {std::string(kRoute) + "retries: {attempts: 0, retryOn: 5xx}",
       "f.yaml:10:5: error LTN0007: " + vs + ".retries: attempts is 0, which means no retries, so nothing else may be set here\n    fix: write attempts: 2, or retries: {attempts: 0} alone"},
      {std::string(kRoute) + "retries: {attempts: 1, retryOn: \"5xx, reset\"}",
       "f.yaml:10:28: error LTN0005: " + vs + ".retries.retryOn: \" reset\" is not a condition to retry on\n    fix: write it without spaces: \"reset\""},
      {std::string(kRoute) + "retries: {attempts: 1, retryOn: gateway-eror}",
       "f.yaml:10:28: error LTN0005: " + vs + ".retries.retryOn: \"gateway-eror\" is not a condition to retry on\n    fix: did you mean gateway-error?"},
      {std::string(kRoute) + "headers: {response: {set: {Host: x}}}", "f.yaml:10:32: error LTN0005: " + vs + ".headers.response.set.Host: the header \"Host\" cannot be changed here"},
      {std::string(kRoute) + "headers: {request: {set: {x: \"50%\"}}}",
       "f.yaml:10:25: error LTN0005: " + vs + ".headers.request.set: \"50%\" has a % without its partner\n    fix: write %% for a percent sign"},
      {std::string(kRoute) + "rewrite: {}", "f.yaml:10:5: error LTN0006: " + vs + ".rewrite: the rewrite changes nothing\n    fix: give it a uri, uriRegexRewrite or authority"},
      {"redirect: {uri: /x, redirectCode: 200}", "f.yaml:9:25: error LTN0005: " + vs + ".redirect.redirectCode: 200 is not a redirect: the code must be 3xx\n    fix: write 301, 302, 303, 307 or 308"},
      {"directResponse: {body: {string: x}}", "f.yaml:9:5: error LTN0006: " + vs + ".directResponse: the response has no status\n    fix: write status: 503"},
      {"directResponse: {status: 200, body: {bytes: \"*\"}}", "f.yaml:9:42: error LTN0005: " + vs + ".directResponse.body.bytes: is not base64"},
  };
  for (const Bad& test : cases) expect_first(route(test.lines), test.first_problem);
}

TEST(ReadDestinationRule, RefusesBadPolicies) {
  const std::string dr = "DestinationRule default/r: spec";
  const Bad cases[] = {
      {"trafficPolicy: {}", "f.yaml:7:3: error LTN0006: " + dr + ".trafficPolicy: the trafficPolicy is empty\n    fix: give it loadBalancer, connectionPool, outlierDetection, tls or portLevelSettings, or take it out"},
      {"trafficPolicy: {connectionPool: {tcp: {maxConnections: -1}}}", "f.yaml:7:42: error LTN0005: " + dr + ".trafficPolicy.connectionPool.tcp.maxConnections: -1 is negative\n    fix: write 0 or more"},
      {"trafficPolicy: {connectionPool: {}}", "f.yaml:7:19: error LTN0006: " + dr + ".trafficPolicy.connectionPool: the connectionPool is empty\n    fix: give it tcp or http settings, or take it out"},
      {"trafficPolicy: {outlierDetection: {interval: 0s}}", "f.yaml:7:38: error LTN0005: " + dr + ".trafficPolicy.outlierDetection.interval: 0s is too short: the duration must be 1ms or more"},
      {"trafficPolicy: {outlierDetection: {maxEjectionPercent: 150}}", "f.yaml:7:38: error LTN0005: " + dr + ".trafficPolicy.outlierDetection.maxEjectionPercent: the percentage 150 is not in range 0..100"},
      {"trafficPolicy: {outlierDetection: {consecutiveLocalOriginFailures: 2}}",
       "f.yaml:7:38: error LTN0007: " + dr + ".trafficPolicy.outlierDetection.consecutiveLocalOriginFailures: counts only with splitExternalLocalOriginErrors: true\n    fix: set splitExternalLocalOriginErrors: true, or take it out"},
      {"trafficPolicy: {loadBalancer: {simple: ROUNDROBIN}}",
       "f.yaml:7:34: error LTN0005: " + dr + ".trafficPolicy.loadBalancer.simple: \"ROUNDROBIN\" is not one of ROUND_ROBIN, LEAST_REQUEST, RANDOM, PASSTHROUGH, LEAST_CONN, UNSPECIFIED\n    fix: did you mean ROUND_ROBIN?"},
      {"subsets: [{name: V_2}]", "f.yaml:7:14: error LTN0005: " + dr + ".subsets[0].name: the subset name \"V_2\" is invalid\n    fix: use letters, digits and '-', at most 63"},
      {"subsets: [{name: v1}, {name: v1}]", "f.yaml:7:26: error LTN0005: " + dr + ".subsets[1].name: the subset v1 is defined twice\n    fix: give each subset a name of its own"},
      {"subsets: [{name: v1, labels: {version: 1}}]", "f.yaml:7:33: error LTN0004: " + dr + ".subsets[0].labels.version: must be a string, not 1\n    fix: write \"1\" in quotes"},
      {"trafficPolicy: {portLevelSettings: [{loadBalancer: {simple: RANDOM}}]}", "f.yaml:7:39: error LTN0006: " + dr + ".trafficPolicy.portLevelSettings[0]: the port settings name no port\n    fix: write port: {number: 9080}"},
      {"trafficPolicy: {tls: {mode: MUTUAL}}", "f.yaml:7:19: error LTN0006: " + dr + ".trafficPolicy.tls: mode MUTUAL needs clientCertificate and privateKey, or credentialName"},
      {"trafficPolicy: {loadBalancer: {consistentHash: {maglev: {tableSize: 10}, useSourceIp: true}}}",
       "f.yaml:7:60: error LTN0005: " + dr + ".trafficPolicy.loadBalancer.consistentHash.maglev.tableSize: 10 is not a prime number below 5000011\n    fix: write tableSize: 65537"},
      {"exportTo: [\".\", default]", "f.yaml:7:19: error LTN0005: " + dr + ".exportTo[1]: \"default\" names a namespace twice"},
  };
  for (const Bad& test : cases) expect_first(rule(test.lines), test.first_problem);
}

TEST(ReadDocuments, RefusesWhatIsNoManifest) {
  const Bad cases[] = {
      {"- a\n", "f.yaml:1:1: error LTN0002: is a list, not a manifest\n    fix: a manifest has apiVersion, kind and metadata"},
      {"metadata: {name: x}\n", "f.yaml:1:1: error LTN0002: the document has no kind\n    fix: write kind: VirtualService"},
      {"kind: VirtualService\nmetadata: {name: x}\n", "f.yaml:1:1: error LTN0002: VirtualService default/x: the document has no apiVersion\n    fix: write apiVersion: networking.istio.io/v1"},
      {"apiVersion: networking.istio.io/v1\nkind: VirtualServise\n",
       "f.yaml:2:7: error LTN0008: VirtualServise default/: kind: unknown kind \"VirtualServise\" in networking.istio.io\n    fix: did you mean VirtualService?"},
      {"apiVersion: networking.istio.io/v2\nkind: VirtualService\n",
       "f.yaml:2:7: error LTN0008: VirtualService default/: kind: apiVersion networking.istio.io/v2 of VirtualService is not known\n    fix: write apiVersion: networking.istio.io/v1"},
      {"apiVersion: v1\nkind: VirtualService\n",
       "f.yaml:2:7: error LTN0008: VirtualService default/: kind: VirtualService does not belong to apiVersion v1\n    fix: write apiVersion: networking.istio.io/v1"},
      {"apiVersion: v1\nkind: Servise\n", "f.yaml:2:7: error LTN0008: Servise default/: kind: unknown kind \"Servise\"\n    fix: did you mean Service?"},
      {"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: x}\n", "f.yaml:1:1: error LTN0006: DestinationRule default/x: the object has no spec"},
      {"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: x}\nspecc: {}\nspec: {host: a}\n",
       "f.yaml:4:1: error LTN0003: DestinationRule default/x: specc: unknown field \"specc\"\n    fix: did you mean \"spec\"?"},
      {"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {}\nspec: {host: a}\n", "f.yaml:3:1: error LTN0006: DestinationRule default/: metadata.name: the object has no name\n    fix: write metadata: {name: NAME}"},
      {"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: A_b}\nspec: {host: a}\n",
       "f.yaml:3:12: error LTN0005: DestinationRule default/A_b: metadata.name: \"A_b\" is no name of an object\n    fix: use lower case letters, digits, '-' and '.'"},
      {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: reviews-v2}\nspec: {template: {metadata: {labels: {app: reviews, version: v2}}}}\n",
       "f.yaml:2:7: error LTN0009: Deployment default/reviews-v2: kind: Deployment starts containers, which is not done here\n    fix: start a workload with `lateen echo --service reviews --version v2`"},
      {"apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: p}\nspec: {mtls: {mode: STRICT}}\n",
       "f.yaml:2:7: error LTN0009: PeerAuthentication default/p: kind: PeerAuthentication is not yet enforced, and so it is refused rather than ignored\n    fix: take it out; traffic is plain text until mutual TLS exists"},
  };
  for (const Bad& test : cases) expect_first(test.lines, test.first_problem);
}

TEST(ReadDocuments, EveryKindThatChangesTrafficIsRefusedAndHarmlessOnesAreListed) {
  for (const auto& [version, kind] : std::initializer_list<std::pair<std::string, std::string>>{
           {"security.istio.io/v1", "AuthorizationPolicy"}, {"security.istio.io/v1beta1", "RequestAuthentication"},
           {"telemetry.istio.io/v1", "Telemetry"},
           {"extensions.istio.io/v1alpha1", "WasmPlugin"}, {"gateway.networking.k8s.io/v1", "HTTPRoute"}, {"gateway.networking.k8s.io/v1", "Gateway"}, {"apps/v1", "StatefulSet"},
           {"networking.k8s.io/v1", "Ingress"}, {"networking.istio.io/v1", "Nonsense"}}) {
    const ReadResult result = read_manifests("apiVersion: " + version + "\nkind: " + kind + "\nmetadata: {name: x}\nspec: {}\n", "f");
    EXPECT_EQ(result.problems.size(), 1u) << kind;
    EXPECT_TRUE(result.objects.empty() && result.ignored.empty()) << kind;
  }
  const ReadResult result = read_manifests("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: s}\n---\napiVersion: v1\nkind: Node\nmetadata: {name: n}\n", "f");
  EXPECT_TRUE(result.problems.empty()) << errors_of(result);
  ASSERT_EQ(result.ignored.size(), 3u);
  EXPECT_EQ(result.ignored[1].kind, "ServiceAccount");
  EXPECT_EQ(result.ignored[1].origin.line, 5);
}

TEST(ReadDocuments, OneBadDocumentIsRefusedAlone) {
  const ReadResult result = read_manifests(rule("subsets: [{name: v1}]") + "---\n" + route("timeout: x\n") + "---\nkind: DestinationRule\napiVersion: networking.istio.io/v1\nmetadata:\n  name: broken\nspec: {host: [\n---\n" +
                                               "apiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n",
                                           "f");
  EXPECT_EQ(result.objects.size(), 2u);
  ASSERT_EQ(result.unreadable.size(), 2u);
  EXPECT_TRUE(result.unreadable.contains(Key{Kind::kVirtualService, "default", "r"}));
  EXPECT_TRUE(result.unreadable.contains(Key{Kind::kDestinationRule, "default", "broken"}));
}

TEST(ReadDocuments, TheSameObjectTwiceIsRefused) {
  const ReadResult result = read_manifests(rule("") + "---\n" + rule(""), "f");
  EXPECT_EQ(result.objects.size(), 1u);
  ASSERT_EQ(result.problems.size(), 1u);
  EXPECT_EQ(to_string(result.problems[0]), "f:8:1: error LTN0011: DestinationRule default/r: is defined twice, first in line 1\n    fix: take one of them out, or give it another name");
}

TEST(ReadDocuments, ListsAndJsonAreRead) {
  const std::string list = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Namespace\n  metadata: {name: a}\n- apiVersion: networking.istio.io/v1\n  kind: DestinationRule\n  metadata: {name: d, namespace: a}\n  spec: {host: x}\n";
  const ReadResult result = read_manifests(list, "f");
  ASSERT_EQ(result.objects.size(), 2u) << errors_of(result);
  EXPECT_EQ(to_string(result.objects[1]->key()), "DestinationRule a/d");
  EXPECT_EQ(to_string(result.objects[0]->key()), "Namespace a");
  EXPECT_EQ(result.objects[1]->origin("spec.host").line, 10);
  EXPECT_EQ(result.objects[1]->yaml, "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata:\n  name: d\n  namespace: a\nspec:\n  host: x\n");
  const ReadResult json = read_manifests(R"({"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "d", "creationTimestamp": null}, "spec": {"host": "x"}})", "f.json");
  EXPECT_EQ(std::get<DestinationRule>(only(json).spec).host, "x");
}

TEST(ReadVirtualService, ReadsEveryField) {
  const ReadResult result = read_manifests(route(R"(match:
- name: m
  uri: {prefix: /api}
  scheme: {exact: https}
  method: {regex: GET|POST}
  authority: {prefix: a}
  headers: {end-user: {exact: jason}, x: {}}
  withoutHeaders: {y: {prefix: z}}
  queryParams: {q: {exact: ""}}
  ignoreUriCase: true
  port: 9080
  sourceLabels: {app: sleep}
  sourceNamespace: default
  gateways: [mesh, ns/gw]
  statPrefix: p
route:
- destination: {host: reviews, subset: v1, port: {number: 9080}}
  weight: 90
  headers: {response: {add: {a: b}}}
- destination: {host: reviews, subset: v2}
rewrite: {uri: /x, authority: ya}
timeout: 1.5s
retries: {attempts: 3, perTryTimeout: 200ms, retryOn: "5xx,503", retryIgnorePreviousHosts: false, backoff: 1s, retryRemoteLocalities: true}
fault: {delay: {fixedDelay: 5s, percentage: {value: 0.1}}, abort: {httpStatus: 503, percentage: {value: 10.0}}}
mirror: {host: m}
mirrorPercentage: {value: 5}
corsPolicy: {allowOrigins: [{exact: "*"}], maxAge: 24h, allowCredentials: true}
headers: {request: {set: {a: b}, remove: [c]}}
)"),
                                           "f");
  const VirtualService& service = std::get<VirtualService>(only(result).spec);
  ASSERT_EQ(service.http.size(), 1u);
  const HttpRoute& http = service.http[0];
  const HttpMatchRequest& match = http.match.at(0);
  EXPECT_EQ(match.uri, (StringMatch{StringMatch::Kind::kPrefix, "/api"}));
  EXPECT_EQ(match.method, (StringMatch{StringMatch::Kind::kRegex, "GET|POST"}));
  EXPECT_EQ(match.headers.at("x").kind, StringMatch::Kind::kPresent);
  EXPECT_EQ(match.query_params.at("q"), (StringMatch{StringMatch::Kind::kExact, ""}));
  EXPECT_EQ(match.gateways, (std::vector<std::string>{"mesh", "ns/gw"}));
  EXPECT_TRUE(match.ignore_uri_case && match.port == 9080 && match.source_namespace == "default" && match.stat_prefix == "p");
  EXPECT_EQ(http.route.at(0).destination, (Destination{"reviews", "v1", 9080}));
  EXPECT_TRUE(http.route[0].weight == 90 && http.route[0].weight_given && !http.route[1].weight_given);
  EXPECT_EQ(http.timeout, 1500ms);
  EXPECT_EQ(http.retries->attempts, 3);
  EXPECT_EQ(http.retries->per_try_timeout, 200ms);
  EXPECT_EQ(http.retries->retry_ignore_previous_hosts, false);
  EXPECT_EQ(http.fault->delay->percentage, 0.1);
  EXPECT_EQ(http.fault->abort->http_status, 503u);
  EXPECT_EQ(http.mirror->host, "m");
  EXPECT_EQ(http.mirror_percentage, 5.0);
  EXPECT_EQ(http.cors_policy->max_age, 24h);
  EXPECT_EQ(http.headers->request.remove, std::vector<std::string>{"c"});
  EXPECT_TRUE(unsupported(only(result)).empty());
}

TEST(ReadDestinationRule, ReadsPoliciesAndKnowsWhatIsNotCarriedOut) {
  const ReadResult result = read_manifests(rule(R"(trafficPolicy:
  loadBalancer: {consistentHash: {httpCookie: {name: c, ttl: 0s}, ringHash: {minimumRingSize: 64}}}
  connectionPool:
    tcp: {maxConnections: 100, connectTimeout: 30ms, tcpKeepalive: {time: 7200s, interval: 75s, probes: 3}, idleTimeout: 0s}
    http: {h2UpgradePolicy: UPGRADE, http1MaxPendingRequests: 1, http2MaxRequests: 2, maxRequestsPerConnection: 3, maxRetries: 4, idleTimeout: 1h}
  outlierDetection: {consecutive5xxErrors: 0, interval: 30s, baseEjectionTime: 1m, maxEjectionPercent: 50, minHealthPercent: 10}
  tls: {mode: SIMPLE}
  portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: PASSTHROUGH}}]
subsets:
- {name: v1, labels: {version: v1}, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}
- {name: all}
workloadSelector: {matchLabels: {app: a}}
)"),
                                           "f");
  const DestinationRule& read = std::get<DestinationRule>(only(result).spec);
  const TrafficPolicy& policy = *read.traffic_policy;
  EXPECT_EQ(policy.connection_pool->tcp->idle_timeout, 0s);
  EXPECT_EQ(policy.connection_pool->tcp->tcp_keepalive->probes, 3u);
  EXPECT_EQ(policy.outlier_detection->consecutive_5xx_errors, 0u);
  EXPECT_EQ(policy.outlier_detection->consecutive_gateway_errors, std::nullopt);
  EXPECT_EQ(policy.load_balancer->consistent_hash->http_cookie->ttl, 0s);
  EXPECT_EQ(policy.load_balancer->consistent_hash->ring_hash_minimum_ring_size, 64u);
  EXPECT_EQ(read.subsets.at(0).traffic_policy->load_balancer->simple, LoadBalancer::Simple::kRoundRobin);
  EXPECT_TRUE(read.subsets.at(1).labels.empty());
  std::vector<std::string> refused;
  for (const Diagnostic& problem : unsupported(only(result))) refused.push_back(problem.origin.field_path);
  EXPECT_EQ(refused, (std::vector<std::string>{"spec.workloadSelector"}));
}

TEST(ReadSupported, RefusesAloneWhatTheDataPlaneDoesNotCarryOut) {
  const ReadResult result = read_supported_manifests(route(std::string(kRoute) + "mirror: {host: m}") + "---\n" + rule("workloadSelector: {matchLabels: {app: a}}"), "f.yaml");
  ASSERT_EQ(result.objects.size(), 1u) << errors_of(result);
  EXPECT_EQ(result.objects[0]->kind, Kind::kVirtualService);
  ASSERT_EQ(result.problems.size(), 1u);
  EXPECT_EQ(result.problems[0].code, kUnsupportedField);
  EXPECT_EQ(result.problems[0].origin.field_path, "spec.workloadSelector");
  ASSERT_EQ(result.unreadable.size(), 1u);
  EXPECT_EQ(result.unreadable.begin()->first.kind, Kind::kDestinationRule);
}

TEST(ReadRegistry, ReadsServiceEntriesAndKubernetesKinds) {
  const ReadResult result = read_manifests(R"(apiVersion: networking.istio.io/v1beta1
kind: ServiceEntry
metadata: {name: e, namespace: a}
spec:
  hosts: [ratings.a.example]
  ports: [{number: 80, name: http, protocol: http, targetPort: 8080}]
  resolution: STATIC
  location: MESH_INTERNAL
  endpoints: [{address: 127.0.0.1, ports: {http: 9000}, labels: {version: v1}, weight: 2}]
---
apiVersion: v1
kind: Service
metadata: {name: reviews, uid: x, managedFields: [{a: b}]}
spec:
  clusterIPs: [10.0.0.1]
  sessionAffinity: None
  selector: {app: reviews}
  ports:
  - {name: grpc-web-x, port: 1, targetPort: web}
  - {name: x, port: 2, targetPort: 22, appProtocol: kubernetes.io/h2c, nodePort: 30000}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: s, labels: {kubernetes.io/service-name: reviews}}
addressType: IPv4
ports: [{name: http, port: 9080}]
endpoints:
- addresses: [10.1.1.1]
  conditions: {ready: false, serving: true}
  targetRef: {kind: Pod, name: p}
---
apiVersion: v1
kind: Endpoints
metadata: {name: old}
subsets: [{addresses: [{ip: 1.2.3.4}], notReadyAddresses: [{ip: 1.2.3.5}], ports: [{port: 80}]}]
---
apiVersion: v1
kind: Pod
metadata: {name: p, labels: {app: reviews}}
spec: {serviceAccountName: sa, containers: [{image: x, ports: [{containerPort: 9080, name: web}]}]}
status: {phase: Running, podIP: 10.1.1.1, conditions: [{type: Ready, status: "False"}]}
)",
                                           "f");
  ASSERT_EQ(result.objects.size(), 5u) << errors_of(result);
  const auto& entry = std::get<ServiceEntry>(result.objects[0]->spec);
  EXPECT_EQ(entry.ports.at(0), (ServicePort{80, "HTTP", "http", 8080, ""}));
  EXPECT_EQ(entry.endpoints.at(0).ports.at("http"), 9000u);
  const auto& service = std::get<Service>(result.objects[1]->spec);
  EXPECT_EQ(service.cluster_ip, "10.0.0.1");
  EXPECT_EQ(service.ports.at(0), (ServicePort{1, "GRPC-WEB", "grpc-web-x", 0, "web"}));
  EXPECT_EQ(service.ports.at(1), (ServicePort{2, "HTTP2", "x", 22, ""}));
  const auto& slice = std::get<EndpointSlice>(result.objects[2]->spec);
  EXPECT_EQ(slice.service, "reviews");
  EXPECT_TRUE(!slice.endpoints.at(0).ready && slice.endpoints[0].serving && slice.endpoints[0].target_pod == "p");
  const auto& endpoints = std::get<EndpointSlice>(result.objects[3]->spec);
  EXPECT_EQ(endpoints.service, "old");
  EXPECT_TRUE(endpoints.endpoints.at(0).ready && !endpoints.endpoints.at(1).ready);
  const auto& pod = std::get<Pod>(result.objects[4]->spec);
  EXPECT_TRUE(pod.ip == "10.1.1.1" && !pod.ready && pod.ports.at(0).name == "web" && pod.service_account == "sa");
}

struct ProtocolCase {
  std::uint32_t port;
  std::string_view name, transport, app, protocol;
};
TEST(Protocol, IsSelectedAsIstiodDoes) {
  const ProtocolCase cases[] = {{80, "http", "TCP", "", "HTTP"},      {80, "http-web", "", "", "HTTP"},  {80, "HTTP2-x", "", "", "HTTP2"}, {80, "grpc-web", "", "", "GRPC-WEB"},
                                {80, "tcp-x", "", "http", "HTTP"},    {80, "web", "", "", ""},           {80, "", "", "", ""},             {3306, "db", "", "", "TCP"},
                                {53, "dns", "UDP", "http", "UDP"},    {80, "x", "", "https", "HTTPS"},   {80, "tls-x", "", "unknown", "TLS"}, {80, "http2", "", "kubernetes.io/ws", "HTTP"},
                                {80, "httpx", "", "", ""},            {27017, "mongo", "", "", "MONGO"}};
  for (const ProtocolCase& test : cases) EXPECT_EQ(select_protocol(test.port, test.name, test.transport, test.app), test.protocol) << test.name;
}

// Istio reads YAML 1.1, in which these words without quotes are no strings.
TEST(ReadDocuments, OldBooleansAreNoStringsAndNamesMayBeWhatTheyLike) {
  for (const char* word : {"y", "No", "on", "OFF"}) {
    EXPECT_FALSE(read_manifests(rule("trafficPolicy: {tls: {mode: SIMPLE, sni: " + std::string(word) + "}}\n"), "f").problems.empty()) << word;
    EXPECT_TRUE(read_manifests(rule("trafficPolicy: {tls: {mode: SIMPLE, sni: \"" + std::string(word) + "\"}}\n"), "f").problems.empty()) << word;
  }
  EXPECT_TRUE(read_manifests("apiVersion: v1\nkind: Namespace\nmetadata: {name: n, labels: {a: y}}\n", "f").problems.empty());
  EXPECT_TRUE(read_manifests(rule("trafficPolicy: {outlierDetection: {splitExternalLocalOriginErrors: on}}\n"), "f").problems.empty());
}

TEST(Object, HashIsOfMeaningNotOfPlaceOrOrder) {
  const auto hash = [](const std::string& text) { return only(read_manifests(text, "f")).content_hash; };
  const std::string base = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: d, labels: {a: b}}\n";
  const std::uint64_t first = hash(base + "spec: {host: x, subsets: [{name: v1, labels: {a: b, c: d}}, {name: v2}]}\n");
  EXPECT_EQ(first, hash("\n# c\n" + base + "spec:\n  subsets:\n  - labels: {c: d, a: b}\n    name: v1\n  - name: \"v2\"\n  host: x\n"));
  for (const std::string& other : {base + "spec: {host: x, subsets: [{name: v2}, {name: v1, labels: {a: b, c: d}}]}\n", base + "spec: {host: z, subsets: [{name: v1, labels: {a: b, c: d}}, {name: v2}]}\n",
                                   base + "spec: {host: x, subsets: [{name: v1, labels: {a: d, c: b}}, {name: v2}]}\n", base + "spec: {host: x, trafficPolicy: {outlierDetection: {}}, subsets: [{name: v1, labels: {a: b, c: d}}, {name: v2}]}\n"})
    EXPECT_NE(first, hash(other)) << other;
}

TEST(Object, OriginFallsBackToTheNearestParent) {
  const ReadResult result = read_manifests(route(kRoute), "f");
  const Object& object = only(result);
  EXPECT_EQ(to_string(object.origin("spec.http[0].route[0].destination.host")), "f:9:28");
  EXPECT_EQ(to_string(object.origin("spec.http[0].timeout")), "f:8:5");
  EXPECT_EQ(to_string(object.origin("spec.http[7].timeout")), "f:7:3");
  EXPECT_EQ(to_string(object.origin("")), "f:1:1");
  EXPECT_EQ(object.origin("spec.http[0]").object, "VirtualService default/r");
}

TEST(Object, OlderGoesByTimeThenNameThenNamespace) {
  const auto make = [](std::string name, std::string space, std::optional<WallTime> created) {
    Object object;
    object.meta.name = std::move(name);
    object.meta.namespace_ = std::move(space);
    object.meta.created = created;
    return object;
  };
  const WallTime first = parse_time("2026-01-01T00:00:00Z").value(), later = parse_time("2026-01-01T00:00:01Z").value();
  EXPECT_TRUE(older(make("z", "z", first), make("a", "a", later)));
  EXPECT_TRUE(older(make("a", "z", first), make("b", "a", first + 300ms)));
  EXPECT_TRUE(older(make("a", "a", first), make("a", "b", first)));
  EXPECT_TRUE(older(make("z", "z", later), make("a", "a", {})));
  EXPECT_FALSE(older(make("a", "a", first), make("a", "a", first)));
}

TEST(Kinds, AreKnownByAllTheirNames) {
  for (std::string_view word : {"vs", "VirtualService", "virtualservices", "virtual-service", "VS", "virtualservices.networking.istio.io"}) EXPECT_EQ(parse_kind(word), Kind::kVirtualService) << word;
  EXPECT_EQ(parse_kind("svc"), Kind::kService);
  EXPECT_EQ(parse_kind("gw"), Kind::kGateway);
  EXPECT_EQ(parse_kind("ep"), Kind::kEndpoints);
  EXPECT_EQ(parse_kind("deployment"), std::nullopt);
  for (int i = 0; i < kKindCount; ++i) EXPECT_EQ(static_cast<int>(names(static_cast<Kind>(i)).kind), i);
}

TEST(Time, IsReadAndWritten) {
  EXPECT_EQ(format_time(parse_time("2026-11-23T02:59:14Z").value()), "2026-11-23T02:59:14Z");
  EXPECT_EQ(parse_time("2026-01-01T01:00:00.5+01:00").value() - parse_time("2026-01-01T00:00:00Z").value(), 500ms);
  for (std::string_view bad : {"", "2026-01-01", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00", "2026-01-01T25:00:00Z", "9999-01-01T00:00:00Z", "2026-01-01T00:00:00+1"})
    EXPECT_EQ(parse_time(bad), std::nullopt) << bad;
}

TEST(MeshConfig, IsReadOverTheDefaults) {
  const ReadMeshConfig read = read_mesh_config("accessLogFile: /dev/stdout\noutboundTrafficPolicy: {mode: REGISTRY_ONLY}\nconnectTimeout: 5s\ndefaultHttpRetryPolicy: {attempts: 1}\n", "m", {});
  EXPECT_TRUE(read.problems.empty());
  EXPECT_FALSE(read.config.allow_any_outbound);
  EXPECT_EQ(read.config.connect_timeout, 5s);
  EXPECT_EQ(read.config.default_http_retry_policy->attempts, 1);
  const ReadMeshConfig bad = read_mesh_config("outboundTraficPolicy: {mode: REGISTRY_ONLY}\n", "m", {});
  ASSERT_EQ(bad.problems.size(), 1u);
  EXPECT_TRUE(to_string(bad.problems[0]).ends_with("fix: did you mean \"outboundTrafficPolicy\"?")) << to_string(bad.problems[0]);
  EXPECT_TRUE(bad.config.allow_any_outbound);
}

// Manifests as users write them: the tutorial's, Bookinfo's, and one for every corner of the kinds. All are accepted.
TEST(Manifests, OfTheTutorialAndTheCornersAreAllRead) {
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(LATEEN_SOURCE_DIR) / "src/model/testdata")) {
    std::ifstream in(entry.path());
    std::stringstream text;
    text << in.rdbuf();
    const std::string content = text.str();
    const ReadResult result = read_manifests(content, entry.path().filename().string());
    EXPECT_FALSE(result.objects.empty()) << entry.path();
    EXPECT_FALSE(has_errors(result.problems)) << errors_of(result);
    const int lines = static_cast<int>(std::count(content.begin(), content.end(), '\n')) + 1;
    for (const ObjectPtr& object : result.objects)
      object->positions.each([&](std::string_view path, Position position) {
        EXPECT_TRUE(position.line >= 1 && position.line <= lines && position.column >= 1) << path;
      });
    ++files;
  }
  EXPECT_GE(files, 15u);
}

}  // namespace
}  // namespace lateen::model
