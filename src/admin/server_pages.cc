#include <google/protobuf/util/time_util.h>

#include "admin/envoy_dump.h"
#include "envoy/admin/v3/listeners.pb.h"
#include "envoy/admin/v3/server_info.pb.h"
#include "xds/messages.h"

namespace lateen::admin {

std::string listeners_text(const ServerFacts& facts) {
  std::string text;
  for (const proxy::BoundListener& listener : facts.listeners)
    text += listener.name + "::" + net::to_string(listener.address) + "\n";
  return text;
}

Result<std::string> listeners_json(const ServerFacts& facts) {
  envoy::admin::v3::Listeners page;
  for (const proxy::BoundListener& listener : facts.listeners) {
    auto& status = *page.add_listener_statuses();
    status.set_name(listener.name);
    auto& address = *status.mutable_local_address()->mutable_socket_address();
    address.set_address(listener.address.host);
    address.set_port_value(listener.address.port);
  }
  return xds::to_json(page, xds::JsonStyle::kIndented);
}

Result<std::string> server_info_json(const ServerFacts& facts) {
  using google::protobuf::util::TimeUtil;
  envoy::admin::v3::ServerInfo page;
  page.set_version("lateen/" + facts.version);
  page.set_state(facts.draining ? envoy::admin::v3::ServerInfo::DRAINING : envoy::admin::v3::ServerInfo::LIVE);
  const auto uptime = std::chrono::duration_cast<std::chrono::seconds>(facts.now - facts.started).count();
  *page.mutable_uptime_current_epoch() = TimeUtil::SecondsToDuration(uptime);
  *page.mutable_uptime_all_epochs() = TimeUtil::SecondsToDuration(uptime);
  page.set_hot_restart_version("disabled");
  page.mutable_command_line_options()->set_concurrency(facts.concurrency);
  page.mutable_node()->set_id("lateen");
  return xds::to_json(page, xds::JsonStyle::kIndented);
}

}  // namespace lateen::admin
