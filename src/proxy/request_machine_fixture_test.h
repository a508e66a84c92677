// A RequestMachine driven by hand: events in, actions as words.
#pragma once

#include <gtest/gtest.h>

#include "proxy/request_machine.h"
#include "proxy/request_record.h"
#include "testing/snapshot_builder.h"

namespace lateen::proxy {

using namespace std::chrono_literals;
using stream::ResetReason;

struct RequestMachineFixture : ::testing::Test {
  using Kind = Action::Kind;
  using State = RequestMachine::State;

  RequestMachineFixture() {
    head.method = "GET";
    head.scheme = "http";
    head.authority = "reviews:9080";
    head.path = "/";
  }
  runtime::Forward& forward() { return std::get<runtime::Forward>(route.action); }
  runtime::RetryPolicy& retry() { return forward().policy->retry ? *forward().policy->retry : forward().policy->retry.emplace(); }

  void start(bool ended = true) {
    builder.cluster("up");
    builder.routes({route});
    snapshot = builder.build();
    settings = builder.http();
    RequestContext context;
    context.settings = &settings;
    context.table = snapshot->route_tables.at("routes");
    context.connection.remote_ip = "10.0.0.9";
    context.outbound = outbound;
    machine.start(std::move(context), head, ended, now, random);
  }
  // start() and a stream.
  void open(bool ended = true) {
    start(ended);
    EXPECT_EQ(actions(), "start-try");
    machine.on_cluster(snapshot->clusters[0], retries);
    machine.on_host_selected();
    machine.on_try_opened(now);
    EXPECT_EQ(actions(), "send");
  }
  void reopen() {
    EXPECT_EQ(actions(), "start-try");
    machine.on_host_selected();
    machine.on_try_opened(now);
    EXPECT_EQ(actions(), "send");
  }
  void respond(std::uint16_t status, bool ended = true) {
    response = http::ResponseHead();
    response.status = status;
    machine.on_response(response, ended, "Sun, 06 Nov 1994 08:49:37 GMT", now, random);
  }
  void reset(ResetReason reason, bool sent = true, std::string_view detail = "") {
    machine.on_upstream_reset(reason, sent, detail, now, random);
  }
  // Lets time pass up to the next deadline.
  void wake() {
    ASSERT_NE(machine.deadline(), Deadlines::kNever);
    now = machine.deadline();
    machine.on_deadline(now, random);
  }
  // What the machine wants, in words.
  std::string actions() {
    std::string out;
    while (const std::optional<Action> action = machine.next_action()) {
      const char* const names[] = {"start-try", "send",   "end-try", "report",   "respond", "reply",
                                   "cut",       "shadow", "hedge",   "end-late", "promote"};
      if (!out.empty()) out += ' ';
      out += names[static_cast<int>(action->kind)];
      if (action->kind == Kind::kReport) out += std::to_string(action->status);
      if (action->late != Action::kAllLate) out += '#' + std::to_string(action->late);
    }
    return out;
  }
  std::string reply() const { return std::to_string(machine.local_reply().status) + " " + machine.local_reply().body; }

  testing::SnapshotBuilder builder;
  runtime::Route route = builder.forward({"up"});
  std::shared_ptr<const runtime::Snapshot> snapshot;
  runtime::HttpConnectionSettings settings;
  http::RequestHead head;
  http::ResponseHead response;
  Limit retries;
  bool outbound = true;
  RequestMachine machine;
  Random random{1};
  Time now{1h};
};

}  // namespace lateen::proxy
