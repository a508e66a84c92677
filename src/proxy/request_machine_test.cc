// The life of a request as events and actions, without any stream.
#include "proxy/request_machine_fixture_test.h"

namespace lateen::proxy {
namespace {

struct RequestMachineTest : RequestMachineFixture {};

TEST_F(RequestMachineTest, OneGoodTry) {
  open();
  now += 12ms;
  respond(200);
  EXPECT_EQ(actions(), "report200 respond end-try");
  EXPECT_EQ(machine.state(), State::kDone);
  EXPECT_EQ(machine.details(), "via_upstream");
  EXPECT_EQ(response.headers.get("x-envoy-upstream-service-time"), "12");
  EXPECT_EQ(response.headers.get("server"), "envoy");
  EXPECT_EQ(machine.flags(), 0U);
}

TEST_F(RequestMachineTest, BodyOfTheResponseFollows) {
  open();
  respond(200, false);
  EXPECT_EQ(actions(), "report200 respond");
  machine.on_response_data(now);
  EXPECT_EQ(actions(), "");
  machine.on_response_ended();
  EXPECT_EQ(actions(), "end-try");
}

TEST_F(RequestMachineTest, ALongResponseKeepsNoRoutesButItsOwn) {
  for (const bool replaced_before_the_response : {true, false}) {
    machine.reset();
    open();
    const std::weak_ptr<const runtime::RouteTable> table = snapshot->route_tables.at("routes");
    if (replaced_before_the_response) machine.on_table_replaced();
    snapshot.reset();
    builder = testing::SnapshotBuilder();
    EXPECT_FALSE(table.expired());
    respond(200, false);
    EXPECT_EQ(actions(), "report200 respond");
    if (!replaced_before_the_response) {
      EXPECT_FALSE(table.expired());
      machine.on_table_replaced();
    }
    EXPECT_TRUE(table.expired());
    EXPECT_EQ(machine.cluster()->name, "up");
    machine.on_response_ended();
    EXPECT_EQ(actions(), "end-try");
  }
}

TEST_F(RequestMachineTest, RetriesEndWithTheLastAnswerAndUrx) {
  retry().retry_on = runtime::kRetry5xx;
  retry().retries_max = 2;
  open();
  for (int i = 0; i < 2; ++i) {
    respond(503);
    EXPECT_EQ(actions(), "report503 end-try");
    EXPECT_EQ(machine.state(), State::kBackingOff);
    wake();
    reopen();
  }
  respond(503);
  EXPECT_EQ(actions(), "report503 respond end-try");
  EXPECT_EQ(machine.flags(), kUpstreamRetryLimitExceeded);
  EXPECT_EQ(machine.attempts(), 3U);
}

TEST_F(RequestMachineTest, RefusedConnectionsEndWithUrxUfAndEnvoysWords) {
  retry().retry_on = runtime::kRetryConnectFailure;
  retry().retries_max = 1;
  start();
  actions();
  machine.on_cluster(snapshot->clusters[0], retries);
  machine.on_host_selected();
  reset(ResetReason::kConnectFailure, false, "delayed connect error: Connection refused");
  EXPECT_EQ(actions(), "report0 end-try");
  wake();
  EXPECT_EQ(actions(), "start-try");
  machine.on_host_selected();
  reset(ResetReason::kConnectFailure, false, "delayed connect error: Connection refused");
  EXPECT_EQ(actions(), "report0 end-try reply");
  EXPECT_EQ(reply(),
            "503 upstream connect error or disconnect/reset before headers. retried and the latest reset reason: remote "
            "connection failure");
  EXPECT_EQ(machine.flags(), kUpstreamRetryLimitExceeded | kUpstreamConnectionFailure);
  EXPECT_EQ(machine.details(),
            "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}");
}

TEST_F(RequestMachineTest, AnEndpointThatLeavesCostsNothing) {
  start();
  actions();
  machine.on_cluster(snapshot->clusters[0], retries);
  for (int i = 0; i < 32; ++i) {
    machine.on_host_selected();
    machine.on_host_left(now, random);
    EXPECT_EQ(actions(), "end-try start-try");
  }
  machine.on_host_selected();
  machine.on_try_opened(now);
  EXPECT_EQ(actions(), "send");
  EXPECT_EQ(machine.attempts(), 1U);
  EXPECT_EQ(machine.tries(), 1U);
}

TEST_F(RequestMachineTest, OverflowIsNeitherRetriedNorHeldAgainstTheHost) {
  retry().retry_on = runtime::kRetry5xx | runtime::kRetryReset;
  start();
  actions();
  machine.on_cluster(snapshot->clusters[0], retries);
  machine.on_host_selected();
  reset(ResetReason::kOverflow, false);
  EXPECT_EQ(actions(), "end-try reply");
  EXPECT_TRUE(machine.local_reply().overloaded);
  EXPECT_EQ(machine.flags(), kUpstreamOverflow);
}

TEST_F(RequestMachineTest, RouteTimeoutRunsFromTheEndOfTheRequest) {
  forward().policy->timeout = 2s;
  open(false);
  now += 10s;
  machine.on_request_ended(now);
  EXPECT_EQ(machine.deadline(), now + 2s);
  wake();
  EXPECT_EQ(actions(), "report0 end-try reply");
  EXPECT_EQ(reply(), "504 upstream request timeout");
  EXPECT_EQ(machine.flags(), kUpstreamRequestTimeout);
  EXPECT_EQ(machine.details(), "response_timeout");
}

TEST_F(RequestMachineTest, RouteTimeoutInTheMiddleOfAResponseCutsIt) {
  forward().policy->timeout = 2s;
  open();
  respond(200, false);
  actions();
  wake();
  EXPECT_EQ(actions(), "end-try cut");
  EXPECT_EQ(machine.status(), 200);
}

TEST_F(RequestMachineTest, TryTimeoutIsTriedAgainWithinTheRouteTimeout) {
  forward().policy->timeout = 10s;
  retry().retry_on = runtime::kRetry5xx;
  retry().retries_max = 3;
  retry().per_try_timeout = 3s;
  builder.virtual_host().include_attempt_count_in_request = true;
  const Time begin = now;
  open();
  EXPECT_EQ(head.headers.get("x-envoy-expected-rq-timeout-ms"), "3000");
  for (int i = 2; i <= 4; ++i) {
    wake();
    EXPECT_EQ(actions(), "report0 end-try");
    wake();
    reopen();
    EXPECT_EQ(head.headers.get("x-envoy-attempt-count"), std::to_string(i));
  }
  // The fourth try has what is left of ten seconds (the tutorial's numbers, observed: 504 UT at 10.0 s).
  wake();
  EXPECT_EQ(now, begin + 10s);
  EXPECT_EQ(actions(), "report0 end-try reply");
  EXPECT_EQ(reply(), "504 upstream request timeout");
  EXPECT_EQ(machine.details(), "response_timeout");
}

TEST_F(RequestMachineTest, DelayThenAbort) {
  route.fault = runtime::Fault{.delay = 3s, .delay_per_million = 1'000'000, .abort_status = 418, .abort_grpc_status = {},
                               .abort_per_million = 1'000'000};
  start();
  EXPECT_EQ(actions(), "");
  EXPECT_EQ(machine.state(), State::kDelaying);
  wake();
  EXPECT_EQ(now, Time(1h) + 3s);
  EXPECT_EQ(actions(), "reply");
  EXPECT_EQ(reply(), "418 fault filter abort");
  EXPECT_EQ(machine.flags(), kDelayInjected | kFaultInjected);
  EXPECT_EQ(machine.attempts(), 0U);
}

TEST_F(RequestMachineTest, DelayAndAbortAreDrawnApart) {
  int delayed = 0, aborted = 0, both = 0;
  constexpr int kRuns = 4000;
  route.fault = runtime::Fault{.delay = 1s, .delay_per_million = 500'000, .abort_status = 500, .abort_grpc_status = {},
                               .abort_per_million = 100'000};
  for (int i = 0; i < kRuns; ++i) {
    head.headers.clear();
    machine.reset();
    start();
    const bool delays = machine.state() == State::kDelaying;
    if (delays) wake();
    const bool aborts = machine.state() == State::kReplied;
    delayed += delays;
    aborted += aborts;
    both += delays && aborts;
  }
  EXPECT_NEAR(delayed, kRuns / 2, 4 * 32);
  EXPECT_NEAR(aborted, kRuns / 10, 4 * 19);
  EXPECT_NEAR(both, kRuns / 20, 4 * 14);
}

TEST_F(RequestMachineTest, AbortOfAGrpcRequestIsTrailersOnly) {
  route.fault = runtime::Fault{.delay = {}, .delay_per_million = 0, .abort_status = 503, .abort_grpc_status = {},
                               .abort_per_million = 1'000'000};
  head.headers.add("content-type", "application/grpc");
  start();
  EXPECT_EQ(actions(), "reply");
  http::ResponseHead out;
  EXPECT_EQ(machine.write_local_reply(out, "now"), "");
  EXPECT_EQ(out.status, 200);
  EXPECT_EQ(out.headers.get("grpc-status"), "14");
  EXPECT_EQ(out.headers.get("grpc-message"), "fault filter abort");
}

TEST_F(RequestMachineTest, ClientsTimeoutHeadersAreRemovedAndIgnored) {
  head.headers.add("x-envoy-upstream-rq-timeout-ms", "1");
  head.headers.add("x-envoy-retry-on", "5xx");
  head.headers.add("x-envoy-max-retries", "9");
  open();
  EXPECT_FALSE(head.headers.get("x-envoy-upstream-rq-timeout-ms"));
  EXPECT_FALSE(head.headers.get("x-envoy-retry-on"));
  EXPECT_FALSE(head.headers.get("x-envoy-max-retries"));
  respond(503);
  EXPECT_EQ(actions(), "report503 respond end-try");
}

TEST_F(RequestMachineTest, BodyThatWasNotKeptForbidsRetries) {
  retry().retry_on = runtime::kRetry5xx;
  open(false);
  machine.on_body_not_kept();
  respond(503);
  EXPECT_EQ(actions(), "report503 respond end-try");
  EXPECT_EQ(machine.flags(), 0U);
}

TEST_F(RequestMachineTest, ClientThatLeavesEndsEverythingInEveryState) {
  const auto leave = [&] {
    machine.on_client_gone(false);
    EXPECT_EQ(machine.state(), State::kDone);
    EXPECT_EQ(machine.deadline(), Deadlines::kNever);
    EXPECT_EQ(machine.flags() & kDownstreamConnectionTermination, kDownstreamConnectionTermination);
  };
  retry().retry_on = runtime::kRetry5xx;
  open();
  leave();
  EXPECT_EQ(actions(), "end-try");
  machine.reset();
  open();
  respond(503);
  actions();
  ASSERT_EQ(machine.state(), State::kBackingOff);
  leave();
  EXPECT_EQ(actions(), "");
  machine.reset();
  open();
  respond(200, false);
  actions();
  leave();
  EXPECT_EQ(actions(), "end-try");
}

TEST_F(RequestMachineTest, IdleStreamsEnd) {
  builder.http().stream_idle_timeout = 5s;
  open();
  wake();
  EXPECT_EQ(actions(), "end-try reply");
  EXPECT_EQ(reply(), "504 stream timeout");
  machine.reset();
  open(false);
  now += 4s;
  machine.on_request_data(now);
  EXPECT_EQ(machine.deadline(), now + 5s) << "data keeps it alive";
  wake();
  EXPECT_EQ(reply(), "408 stream timeout");
}

TEST_F(RequestMachineTest, UpgradeEndsTimeoutsAndRetries) {
  forward().policy->timeout = 2s;
  builder.http().stream_idle_timeout = 0s;
  retry().retry_on = runtime::kRetry5xx;
  head.is_upgrade = true;
  head.headers.add("upgrade", "WebSocket");
  open(false);
  respond(101, false);
  EXPECT_EQ(actions(), "report101 respond");
  EXPECT_EQ(machine.deadline(), Deadlines::kNever);
}

TEST_F(RequestMachineTest, UpgradeIsRefusedWhereNotAllowed) {
  builder.http().websocket_upgrades = false;
  head.is_upgrade = true;
  start(false);
  EXPECT_EQ(actions(), "reply");
  EXPECT_EQ(machine.local_reply().status, 403);
  machine.reset();
  builder.http().websocket_upgrades = true;
  head.headers.add("upgrade", "other");
  start(false);
  EXPECT_EQ(reply(), "403 ") << "upgrade_configs names WebSocket alone";
}

TEST_F(RequestMachineTest, ResetsOfStreamsAndOfConnectionsAreTold) {
  const struct {
    ResetReason reason;
    std::uint32_t flag;
    const char* words;
  } cases[] = {{ResetReason::kRemoteReset, kUpstreamRemoteReset, "remote reset"},
               {ResetReason::kConnectionTermination, kUpstreamConnectionTermination, "connection termination"}};
  for (const auto& c : cases) {
    machine.reset();
    open();
    reset(c.reason);
    EXPECT_EQ(actions(), "report0 end-try reply");
    EXPECT_EQ(machine.flags(), c.flag);
    EXPECT_EQ(machine.local_reply().body, std::string("upstream connect error or disconnect/reset before headers. reset reason: ") + c.words);
  }
}

TEST_F(RequestMachineTest, AServersProxyNamesTheOperationUnlessItsClientDid) {
  outbound = false;
  route.operation = "reviews:9080/*";
  for (const bool named : {false, true}) {
    machine.reset();
    head.headers.clear();
    if (named) head.headers.add("x-envoy-decorator-operation", "mine");
    open();
    EXPECT_EQ(head.headers.get("x-envoy-decorator-operation"), std::nullopt);
    reset(ResetReason::kConnectionTermination);
    actions();
    http::ResponseHead out;
    machine.write_local_reply(out, "now");
    EXPECT_EQ(out.headers.get("x-envoy-decorator-operation").value_or(""), named ? "" : "reviews:9080/*");
  }
}

TEST_F(RequestMachineTest, WithoutTracingNobodyNamesAnOperation) {
  builder.http().names_operations = false;
  route.operation = "reviews:9080/*";
  for (const bool out : {false, true}) {
    machine.reset();
    outbound = out;
    head.headers.clear();
    open();
    EXPECT_EQ(head.headers.get("x-envoy-decorator-operation"), std::nullopt);
    reset(ResetReason::kConnectionTermination);
    actions();
    http::ResponseHead reply;
    machine.write_local_reply(reply, "now");
    EXPECT_EQ(reply.headers.get("x-envoy-decorator-operation"), std::nullopt);
  }
}

// ProxyConfig's proxyHeaders.envoyDebugHeaders; what the differential test asks of Envoy.
TEST_F(RequestMachineTest, HeadersOfEnvoysOwnMayBeSuppressed) {
  for (const bool suppressed : {false, true}) {
    machine.reset();
    head.headers.clear();
    head.path = "/old";
    head.authority = "reviews:9080";
    builder.http().suppresses_envoy_headers = suppressed;
    forward().policy->timeout = 5s;
    runtime::Rewrite& rewrite = forward().policy->rewrite.emplace();
    rewrite.prefix = "/new";
    rewrite.host = "other";
    route.match.path = "/";
    open();
    EXPECT_EQ(head.path, "/newold");
    for (const char* name : {"x-envoy-original-path", "x-envoy-original-host", "x-envoy-expected-rq-timeout-ms"}) {
      EXPECT_EQ(head.headers.count(name), suppressed ? 0U : 1U) << name;
    }
    respond(200);
    EXPECT_EQ(response.headers.count("x-envoy-upstream-service-time"), suppressed ? 0U : 1U);
  }
}

TEST_F(RequestMachineTest, RedirectsAndDirectResponses) {
  runtime::Redirect redirect;
  redirect.status = 302;
  redirect.host = "elsewhere.test";
  redirect.path = "/new";
  route.action = redirect;
  head.path = "/old?x=1";
  start();
  EXPECT_EQ(actions(), "reply");
  http::ResponseHead out;
  machine.write_local_reply(out, "now");
  EXPECT_EQ(out.status, 302);
  EXPECT_EQ(out.headers.get("location"), "http://elsewhere.test/new?x=1");

  machine.reset();
  route.action = runtime::DirectResponse{.status = 502, .body = "no"};
  start();
  EXPECT_EQ(actions(), "reply");
  EXPECT_EQ(reply(), "502 no");
}

TEST_F(RequestMachineTest, RewritesKeepTheOriginalPath) {
  route.match.path = "/api/";
  forward().policy->rewrite.emplace().prefix = "/v2/";
  forward().policy->rewrite->host = "inner.test";
  head.path = "/api/items?x=1";
  open();
  EXPECT_EQ(head.path, "/v2/items?x=1");
  EXPECT_EQ(head.authority, "inner.test");
  EXPECT_EQ(head.headers.get("x-envoy-original-path"), "/api/items?x=1");
  EXPECT_TRUE(head.headers.get("x-envoy-original-host").has_value());
}

TEST_F(RequestMachineTest, HeaderOperationsOfAllLevels) {
  const auto operation = [](runtime::HeaderOperation::Kind kind, const char* name, const char* value) {
    runtime::HeaderOperation out;
    out.kind = kind;
    out.name = name;
    out.value = runtime::HeaderValue::literal(value);
    return out;
  };
  using Op = runtime::HeaderOperation::Kind;
  forward().clusters[0].request_headers = {operation(Op::kAppend, "x-level", "cluster")};
  route.request_headers = {operation(Op::kAppend, "x-level", "route"), operation(Op::kRemove, "x-gone", "")};
  builder.virtual_host().request_headers = {operation(Op::kOverwrite, "x-set", "host")};
  route.response_headers = {operation(Op::kAddIfAbsent, "x-answer", "1")};
  head.headers.add("x-gone", "a");
  head.headers.add("x-set", "old");
  open();
  EXPECT_FALSE(head.headers.get("x-gone"));
  EXPECT_EQ(head.headers.get("x-set"), "host");
  EXPECT_EQ(head.headers.count("x-level"), 2U);
  EXPECT_EQ(head.headers.get("x-level"), "cluster") << "the most specific first, as in Envoy";
  respond(200);
  EXPECT_EQ(response.headers.get("x-answer"), "1");
}

TEST_F(RequestMachineTest, OnlyAnAddressIsBelievedOfATrustedHop) {
  builder.http().use_remote_address = true;
  builder.http().trusted_hops = 1;
  head.headers.add("x-forwarded-for", "nonsense");
  open();
  EXPECT_EQ(head.headers.get("x-forwarded-for"), "nonsense,10.0.0.9");
  EXPECT_EQ(head.headers.get("x-envoy-external-address"), "10.0.0.9");
}

TEST_F(RequestMachineTest, GatewaysSayWhoTheClientIs) {
  builder.http().use_remote_address = true;
  builder.http().server_name = "istio-envoy";
  head.headers.add("x-forwarded-for", "1.2.3.4");
  head.headers.add("x-request-id", "mine");
  open();
  EXPECT_EQ(head.headers.get("x-forwarded-for"), "1.2.3.4,10.0.0.9");
  EXPECT_EQ(head.headers.get("x-envoy-external-address"), "10.0.0.9");
  EXPECT_NE(head.headers.get("x-request-id"), "mine") << "strangers do not choose ids";
  EXPECT_EQ(head.headers.get("x-request-id")->size(), kUuidBytes);
  respond(200);
  EXPECT_EQ(response.headers.get("server"), "istio-envoy");
}

TEST_F(RequestMachineTest, GrpcTimeoutShortensTheRoutesUpToItsMaximum) {
  forward().policy->grpc_timeout_max = 5s;
  head.headers.add("content-type", "application/grpc");
  head.headers.add("grpc-timeout", "2S");
  open();
  EXPECT_EQ(machine.deadline(), now + 2s);
  machine.reset();
  head.headers.set("grpc-timeout", "1H");
  open();
  EXPECT_EQ(machine.deadline(), now + 5s);
}

TEST_F(RequestMachineTest, Http10IsRefusedUnlessAccepted) {
  head.version = http::Version::kHttp10;
  start();
  EXPECT_EQ(actions(), "reply");
  EXPECT_EQ(reply(), "426 Upgrade Required");
  machine.reset();
  builder.http().accepts_http_10 = true;
  open();
  machine.reset();
  head.authority = "";
  start();
  EXPECT_EQ(reply(), "400 ") << "where should it go?";
}

TEST_F(RequestMachineTest, WhatIsNoPathHasNoRoute) {
  head.method = "OPTIONS";
  head.path = "*";
  start();
  EXPECT_EQ(reply(), "404 ");
  EXPECT_EQ(machine.details(), "absolute_path_rejected");
  EXPECT_EQ(machine.flags(), 0U);
}

TEST_F(RequestMachineTest, TheEdgeRefusesHttpsWithoutTls) {
  head.absolute_form = true;
  head.scheme = "https";
  open();
  machine.reset();
  builder.http().use_remote_address = true;
  start();
  EXPECT_EQ(reply(), "403 Forbidden");
}

TEST_F(RequestMachineTest, ConcurrentRetriesOverTheLimitAnswerWithWhatThereIs) {
  retry().retry_on = runtime::kRetry5xx;
  retries.set_max(0);
  open();
  respond(503);
  EXPECT_EQ(actions(), "report503 respond end-try");
  EXPECT_EQ(machine.flags(), kUpstreamOverflow);
}

}  // namespace
}  // namespace lateen::proxy
