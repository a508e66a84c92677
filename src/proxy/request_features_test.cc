// What routes ask for besides forwarding: CORS, mirrors, hedging, authorities, durations, gRPC's timeouts; by the machine.
#include <functional>

#include "proxy/request_machine_fixture_test.h"
#include "proxy/shadow_request.h"

namespace lateen::proxy {
namespace {

struct RequestFeatures : RequestMachineFixture {
  runtime::Cors& cors() {
    runtime::Cors& policy = route.cors.emplace();
    runtime::StringMatcher origin;
    origin.text = "http://ok.test";
    policy.allow_origins = {origin};
    policy.allow_methods = "GET";
    policy.expose_headers = "x-e";
    return policy;
  }
  void hedge(std::uint32_t tries_more = 2) {
    forward().policy->timeout = 10s;
    forward().policy->hedge = runtime::Hedge{.on_per_try_timeout = true};
    retry().retry_on = runtime::kRetry5xx;
    retry().retries_max = tries_more;
    retry().per_try_timeout = 1s;
  }
  void late_response(std::uint32_t late, std::uint16_t status) {
    late_head = http::ResponseHead();
    late_head.status = status;
    machine.on_late_response(late, late_head, true, "now", now, random);
  }
  http::ResponseHead local() {
    http::ResponseHead out;
    machine.write_local_reply(out, "now");
    return out;
  }

  http::ResponseHead late_head;
};

// ---- CORS

TEST_F(RequestFeatures, CorsPreflightIsAnsweredHere) {
  cors();
  head.method = "OPTIONS";
  head.headers.add("origin", "http://ok.test");
  head.headers.add("access-control-request-method", "GET");
  start();
  EXPECT_EQ(actions(), "reply");
  EXPECT_EQ(machine.details(), "cors_response");
  const http::ResponseHead out = local();
  EXPECT_EQ(out.status, 200);
  EXPECT_EQ(out.headers.get("access-control-allow-origin"), "http://ok.test");
  EXPECT_EQ(out.headers.get("access-control-allow-methods"), "GET");
  EXPECT_EQ(out.headers.get("access-control-expose-headers"), "x-e");
}

TEST_F(RequestFeatures, CorsSpeaksInTheUpstreamsResponseAndInLocalOnes) {
  cors();
  head.headers.add("origin", "http://ok.test");
  open();
  respond(200);
  EXPECT_EQ(response.headers.get("access-control-allow-origin"), "http://ok.test");
  machine.reset();
  open();
  reset(ResetReason::kConnectionTermination);
  EXPECT_EQ(actions(), "report0 end-try reply");
  EXPECT_EQ(local().headers.get("access-control-allow-origin"), "http://ok.test");
  machine.reset();
  head.headers.set("origin", "http://bad.test");
  open();
  respond(200);
  EXPECT_FALSE(response.headers.get("access-control-allow-origin"));
}

TEST_F(RequestFeatures, CorsStandsBehindFaultsAndOnlyBeforeUpstreams) {
  cors();
  head.method = "OPTIONS";
  head.headers.add("origin", "http://ok.test");
  head.headers.add("access-control-request-method", "GET");
  route.fault = runtime::Fault{.delay = {}, .delay_per_million = 0, .abort_status = 503, .abort_grpc_status = {}, .abort_per_million = 1'000'000};
  start();
  EXPECT_EQ(reply(), "503 fault filter abort");
  EXPECT_FALSE(local().headers.get("access-control-allow-origin"));
  machine.reset();
  route.fault.reset();
  route.action = runtime::DirectResponse{.status = 200, .body = "x"};
  start();
  EXPECT_EQ(reply(), "200 x");
  EXPECT_FALSE(local().headers.get("access-control-allow-origin"));
}

// ---- mirrors

TEST_F(RequestFeatures, ShadowsAreTheRequestAsItGoesUpstream) {
  runtime::Mirror plain, changed, never;
  plain.cluster = "m1";
  changed.cluster = "m2";
  changed.append_shadow_suffix = false;
  changed.host_rewrite = "shadow.test";
  runtime::HeaderOperation operation;
  operation.name = "x-m";
  operation.value = runtime::HeaderValue::literal("1");
  changed.request_headers = {operation};
  never.per_million = 0;
  forward().policy->mirrors = {plain, never, changed};
  forward().policy->timeout = 5s;
  forward().policy->rewrite.emplace().prefix = "/inner";
  retry().per_try_timeout = 2s;
  start();
  EXPECT_EQ(actions(), "start-try");
  machine.on_cluster(snapshot->clusters[0], retries);
  machine.on_host_selected();
  machine.on_try_opened(now);
  EXPECT_EQ(actions(), "shadow send");
  ASSERT_EQ(machine.shadows().size(), 2U);
  OwnedHead first, second;
  machine.write_shadow(*machine.shadows()[0], first);
  machine.write_shadow(*machine.shadows()[1], second);
  EXPECT_EQ(first.head.authority, "reviews-shadow:9080");
  EXPECT_EQ(first.head.path, "/inner");
  EXPECT_EQ(first.head.headers.get("x-envoy-expected-rq-timeout-ms"), "5000") << "its own tries are not the request's";
  EXPECT_FALSE(first.head.headers.get("x-m"));
  EXPECT_EQ(second.head.authority, "shadow.test");
  EXPECT_EQ(second.head.headers.get("x-m"), "1");
  EXPECT_FALSE(head.headers.get("x-m")) << "the request itself is as it was";
}

TEST_F(RequestFeatures, OneShadowHoweverOftenTheRequestIsTried) {
  forward().policy->mirrors.emplace_back();
  retry().retry_on = runtime::kRetry5xx;
  start();
  actions();
  machine.on_cluster(snapshot->clusters[0], retries);
  machine.on_host_selected();
  machine.on_try_opened(now);
  EXPECT_EQ(actions(), "shadow send");
  respond(503);
  actions();
  wake();
  reopen();   // no shadow
}

TEST_F(RequestFeatures, AShareOfTheRequestsIsMirrored) {
  runtime::Mirror mirror;
  mirror.per_million = 250'000;
  forward().policy->mirrors = {mirror};
  int mirrored = 0;
  constexpr int kRuns = 2000;
  for (int i = 0; i < kRuns; ++i) {
    machine.reset();
    start();
    mirrored += machine.shadows().empty() ? 0 : 1;
  }
  EXPECT_NEAR(mirrored, kRuns / 4, 4 * 20);
}

// ---- hedging

TEST_F(RequestFeatures, ALateTryGoesOnBesideItsSuccessorAndMayWin) {
  hedge();
  open();
  EXPECT_EQ(head.headers.get("x-envoy-expected-rq-timeout-ms"), "10000") << "a late try has all the time";
  wake();
  EXPECT_EQ(actions(), "report0 hedge#1");
  wake();
  reopen();
  late_response(1, 200);
  EXPECT_EQ(actions(), "promote#1 respond end-try");
  EXPECT_EQ(machine.state(), State::kDone);
  EXPECT_EQ(machine.status(), 200);
  EXPECT_EQ(machine.tries(), 2U);
}

TEST_F(RequestFeatures, TheSuccessorWinsAndTheLateOneIsLetGo) {
  hedge();
  open();
  wake();
  actions();
  wake();
  reopen();
  respond(200);
  EXPECT_EQ(actions(), "report200 end-late respond end-try");
}

TEST_F(RequestFeatures, ALateAnswerMayComeDuringTheBackOff) {
  hedge();
  open();
  wake();
  actions();
  ASSERT_EQ(machine.state(), State::kBackingOff);
  late_response(1, 200);
  EXPECT_EQ(actions(), "promote#1 respond end-try");
  EXPECT_EQ(machine.deadline(), Deadlines::kNever);
}

TEST_F(RequestFeatures, BadAnswersArePassedOverWhileOthersAreUnderWay) {
  hedge(1);
  open();
  wake();
  actions();
  wake();
  reopen();
  late_response(1, 503);
  EXPECT_EQ(actions(), "end-late#1");
  respond(503);
  EXPECT_EQ(actions(), "report503 respond end-try") << "the last one is passed on";
  EXPECT_EQ(machine.flags(), kUpstreamRetryLimitExceeded);

  machine.reset();
  open();
  wake();
  actions();
  wake();
  reopen();
  respond(503);
  EXPECT_EQ(actions(), "report503 end-try") << "the late one may still give a good answer";
  EXPECT_EQ(machine.state(), State::kWaiting);
  late_response(1, 200);
  EXPECT_EQ(actions(), "promote#1 respond end-try");
  EXPECT_EQ(machine.status(), 200);
}

TEST_F(RequestFeatures, WhenEveryTryIsLostTheClientIsTold) {
  hedge(1);
  open();
  wake();
  actions();
  wake();
  reopen();
  reset(ResetReason::kConnectionTermination);
  EXPECT_EQ(actions(), "report0 end-try");
  machine.on_late_reset(1, ResetReason::kConnectionTermination, "");
  EXPECT_EQ(actions(), "end-late#1 reply");
  EXPECT_EQ(machine.local_reply().status, 503);
}

TEST_F(RequestFeatures, WithoutTriesLeftALateTryHasUntilTheRoutesTimeout) {
  hedge(0);
  open();
  wake();
  EXPECT_EQ(actions(), "report0");
  EXPECT_EQ(machine.state(), State::kTrying);
  wake();
  EXPECT_EQ(now, Time(1h) + 10s);
  EXPECT_EQ(actions(), "end-try reply");
  EXPECT_EQ(machine.details(), "response_timeout");
}

TEST_F(RequestFeatures, AClientThatLeavesEndsLateTriesToo) {
  hedge();
  open();
  wake();
  actions();
  wake();
  reopen();
  machine.on_client_gone(false);
  EXPECT_EQ(actions(), "end-try end-late");
}

// ---- authorities and clusters

TEST_F(RequestFeatures, AuthoritiesAreRewrittenAndTheOldOnesKept) {
  struct Case {
    const char* name;
    std::function<void(runtime::Rewrite&)> set;
    const char* authority;
    const char* forwarded;
  };
  const auto regex = std::make_shared<const runtime::Regex>(*runtime::Regex::compile("^/hosts/(.*)$"));
  const Case cases[] = {
      {"literal", [](runtime::Rewrite& r) { r.host = "lit.test"; }, "lit.test", ""},
      {"literal, forwarded", [](runtime::Rewrite& r) { r.host = "lit.test"; r.append_x_forwarded_host = true; }, "lit.test", "z,reviews:9080"},
      {"header", [](runtime::Rewrite& r) { r.host_from_header = "x-host"; }, "h.test", ""},
      {"absent header", [](runtime::Rewrite& r) { r.host_from_header = "x-none"; r.append_x_forwarded_host = true; }, "reviews:9080", "z"},
      {"path", [&](runtime::Rewrite& r) { r.host_from_path = regex; r.host_from_path_substitution = "\\1"; }, "p.test", ""},
      {"endpoint", [](runtime::Rewrite& r) { r.host_from_endpoint = true; }, "ep.test", ""},
  };
  for (const Case& c : cases) {
    machine.reset();
    head.authority = "reviews:9080";
    head.path = "/hosts/p.test?q=1";
    head.headers.clear();
    head.headers.add("x-host", "h.test");
    const bool forwards = c.forwarded[0] != '\0';
    if (forwards) head.headers.add("x-forwarded-host", "z");
    c.set(forward().policy->rewrite.emplace());
    start();
    actions();
    machine.on_cluster(snapshot->clusters[0], retries);
    machine.on_host_selected("ep.test");
    EXPECT_EQ(head.authority, c.authority) << c.name;
    const bool changed = head.authority != "reviews:9080";
    EXPECT_EQ(head.headers.get("x-envoy-original-host").value_or(""), changed ? "reviews:9080" : "") << c.name;
    EXPECT_EQ(head.headers.get("x-forwarded-host").value_or(""), c.forwarded) << c.name;
    machine.on_client_gone(false);
    actions();
  }
}

TEST_F(RequestFeatures, AHeaderNamesTheCluster) {
  forward().policy->cluster_header = "x-cluster";
  forward().clusters[0] = runtime::WeightedCluster();   // as compiled: one without a name
  start();
  EXPECT_EQ(actions(), "reply");
  EXPECT_EQ(machine.details(), "cluster_not_found");
  EXPECT_EQ(machine.flags(), kNoClusterFound);
  machine.reset();
  head.headers.add("x-cluster", "up");
  start();
  EXPECT_EQ(actions(), "start-try");
  EXPECT_EQ(machine.cluster()->name, "up");
  EXPECT_EQ(machine.cluster()->id, runtime::kNoCluster);
}

TEST_F(RequestFeatures, RedirectByAPattern) {
  runtime::Redirect redirect;
  redirect.path_regex = std::make_shared<const runtime::Regex>(*runtime::Regex::compile("^/redir/(.*)$"));
  redirect.path_regex_substitution = "/to/\\1";
  route.action = redirect;
  head.path = "/redir/a/b?x=1";
  start();
  EXPECT_EQ(machine.local_reply().location, "http://reviews:9080/to/a/b?x=1");
}

// ---- times

TEST_F(RequestFeatures, TheConnectionsStreamDurationHoldsWhereTheRouteSetsNone) {
  builder.http().stream_duration_max = 900ms;
  open(false);
  wake();
  EXPECT_EQ(now, Time(1h) + 900ms);
  EXPECT_EQ(reply(), "408 downstream duration timeout");
  machine.reset();
  forward().policy->stream_duration_max = Duration::zero();   // none at all
  open(false);
  EXPECT_GT(machine.deadline(), now + 900ms);
}

TEST_F(RequestFeatures, TheStreamsDurationRunsFromItsBeginning) {
  builder.http().stream_duration_max = 900ms;   // where the route sets none
  forward().policy->stream_duration_max = 500ms;
  open(false);
  now += 100ms;
  machine.on_request_data(now);
  wake();
  EXPECT_EQ(now, Time(1h) + 500ms);
  EXPECT_EQ(actions(), "end-try reply");
  EXPECT_EQ(reply(), "408 downstream duration timeout");
  machine.reset();
  now = Time(1h);
  head.headers.add("content-type", "application/grpc");
  open();
  wake();
  EXPECT_EQ(actions(), "end-try reply");
  EXPECT_EQ(machine.details(), "max_duration_timeout");
  EXPECT_EQ(machine.grpc_status(), 4);
  EXPECT_EQ(local().status, 200);
}

TEST_F(RequestFeatures, AGrpcRequestMaySayHowLongItsStreamLasts) {
  const struct {
    std::optional<Duration> allowed, own;   // grpc_timeout_header_max, max_stream_duration
    const char* asked;                      // grpc-timeout; "": none
    Duration lasts;                         // zero: no end
    const char* told;                       // grpc-timeout upstream
  } cases[] = {
      {std::nullopt, 2s, "5S", 2s, "5S"},   // not looked at
      {0s, 0s, "5S", 5s, "5000m"},          // what istiod sends to the inbound side: as asked
      {0s, 2s, "", 2s, ""},
      {0s, 0s, "", 0s, ""},
      {1s, 2s, "500m", 500ms, "500m"},
      {1s, 2s, "5S", 1s, "1000m"},
      {1s, std::nullopt, "0S", 1s, "1000m"},
      {1s, 2s, "soon", 2s, "soon"},
  };
  for (const auto& c : cases) {
    machine.reset();
    now = Time(1h);
    head.headers.clear();
    head.headers.add("content-type", "application/grpc");
    if (*c.asked != '\0') head.headers.add("grpc-timeout", c.asked);
    forward().policy->timeout = 0s;
    forward().policy->grpc_stream_duration_max = c.allowed;
    forward().policy->stream_duration_max = c.own;
    builder.http().stream_idle_timeout = 0s;
    open();
    EXPECT_EQ(head.headers.get("grpc-timeout").value_or(""), c.told);
    const std::size_t at = static_cast<std::size_t>(&c - cases);
    if (c.lasts == Duration::zero()) {
      EXPECT_EQ(machine.deadline(), Deadlines::kNever) << at;
      continue;
    }
    wake();
    EXPECT_EQ(now, Time(1h) + c.lasts) << at;
    EXPECT_EQ(machine.details(), "max_duration_timeout") << at;
  }
}

TEST_F(RequestFeatures, ThePortOfTheHostIsTakenOffWhereThatIsAskedFor) {
  const struct {
    const char *method, *authority, *then;
  } cases[] = {{"GET", "reviews:9080", "reviews"}, {"GET", "reviews", "reviews"}, {"GET", "[::1]:80", "[::1]"},
               {"GET", "[::1]", "[::1]"}, {"CONNECT", "reviews:9080", "reviews:9080"}};
  for (const auto& c : cases) {
    machine.reset();
    head.method = c.method;
    head.authority = c.authority;
    builder.http().strips_port = true;
    start();
    actions();
    EXPECT_EQ(head.authority, c.then);
  }
}

TEST_F(RequestFeatures, TheClustersDurationEndsATryAndEachTryHasItsOwn) {
  runtime::Cluster policy;
  policy.stream_duration_max = 1s;
  retry().retry_on = runtime::kRetry5xx;
  retry().retries_max = 1;
  start();
  actions();
  const auto with_duration = std::make_shared<const runtime::Cluster>(policy);
  machine.on_cluster(with_duration, retries);
  machine.on_host_selected();
  machine.on_try_opened(now);
  actions();
  wake();
  EXPECT_EQ(actions(), "end-try");
  wake();
  reopen();
  wake();
  EXPECT_EQ(actions(), "end-try reply");
  EXPECT_EQ(reply(), "504 upstream max stream duration reached");
  EXPECT_EQ(machine.flags(), kUpstreamRetryLimitExceeded | kUpstreamMaxStreamDurationReached);
}

TEST_F(RequestFeatures, TheTimeoutOfAGrpcRequestIsItsOwnUpToTheRoutesMaximum) {
  struct Case {
    Duration most;
    const char* asked;
    const char* expected;   // "" none
    const char* told;
  };
  const Case cases[] = {{2s, "", "2000", "2000m"},          {2s, "9S", "2000", "2000m"}, {2s, "1500000u", "1500", "1500m"},
                        {0s, "", "", ""},                   {0s, "3S", "3000", "3000m"}, {0s, "99999999H", "3600000000000", "60000000M"}};
  for (const Case& c : cases) {
    machine.reset();
    head.headers.clear();
    head.headers.add("content-type", "application/grpc");
    if (c.asked[0] != '\0') head.headers.add("grpc-timeout", c.asked);
    forward().policy->timeout = 7s;
    forward().policy->grpc_timeout_max = c.most;
    open();
    EXPECT_EQ(head.headers.get("x-envoy-expected-rq-timeout-ms").value_or(""), c.expected) << c.asked;
    EXPECT_EQ(head.headers.get("grpc-timeout").value_or(""), c.told) << c.asked;
  }
}

// ---- retries

TEST_F(RequestFeatures, OnlyRequestsThatThePolicyIsForAreTriedAgain) {
  retry().retry_on = runtime::kRetry5xx;
  runtime::HeaderMatcher matcher;
  matcher.set_name("x-retry");
  retry().retriable_request_headers = {matcher};
  open();
  respond(503);
  EXPECT_EQ(actions(), "report503 respond end-try");
  machine.reset();
  head.headers.add("x-retry", "yes");
  open();
  respond(503);
  EXPECT_EQ(actions(), "report503 end-try");
}

TEST_F(RequestFeatures, ResponsesWithCertainHeadersAreTriedAgain) {
  retry().retry_on = runtime::kRetryRetriableHeaders;
  runtime::HeaderMatcher matcher;
  matcher.set_name("x-busy");
  retry().retriable_headers = {matcher};
  open();
  response = http::ResponseHead();
  response.status = 200;
  response.headers.add("x-busy", "1");
  machine.on_response(response, true, "now", now, random);
  EXPECT_EQ(actions(), "report200 end-try");
  wake();
  reopen();
  respond(200);
  EXPECT_EQ(machine.status(), 200);
}

TEST_F(RequestFeatures, ConnectNeedsTheConnectionsAndTheRoutesConsent) {
  head.method = "CONNECT";
  for (const bool listener : {false, true}) {
    for (const bool allowed : {false, true}) {
      machine.reset();
      builder.http().connect_upgrades = listener;
      forward().policy->connect_allowed = allowed;
      start(false);
      EXPECT_EQ(actions(), listener && allowed ? "start-try" : "reply");
    }
  }
}

TEST_F(RequestFeatures, AConnectThatEndsHereIsATunnelOfItsRoute) {
  builder.http().connect_upgrades = true;
  forward().policy->connect_allowed = forward().policy->ends_connect = true;
  for (const char* method : {"CONNECT", "POST"}) {
    for (const bool posts : {false, true}) {
      machine.reset();
      head.method = method;
      forward().policy->ends_post = posts;
      start(false);
      EXPECT_EQ(machine.ends_tunnel(), posts || std::string_view(method) == "CONNECT") << method;
    }
  }
}

}  // namespace
}  // namespace lateen::proxy
