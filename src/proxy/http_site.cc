#include "proxy/http_site.h"

#include "proxy/worker.h"

namespace lateen::proxy {
namespace {

// Where the listener sets none: a head that takes longer than this is an attack or a mistake.
constexpr Duration kHeaderTimeoutDefault = std::chrono::seconds(60);

bool is_loopback(const net::Address& address) {
  return address.family == net::Address::Family::kUnix || address.host.starts_with("127.") || address.host == "::1";
}

}  // namespace

bool HttpSite::set(Worker& worker, WorkerView& of, std::shared_ptr<const runtime::Listener> chain_listener,
                   const ConnectionTraits& traits) {
  view = &of;
  view_version = of.version();
  if (chain_listener == nullptr) return false;
  const runtime::FilterChain* chain = choose_chain(*chain_listener, traits);
  const auto* http = chain == nullptr ? nullptr : std::get_if<runtime::HttpConnectionSettings>(&chain->handler);
  if (http == nullptr) return false;
  listener = std::move(chain_listener);
  settings = http;
  table = of.route_table(http->route_table);
  counters = &worker.metrics().listener(listener->name, http->stat_prefix);
  log_format = http->access_log_format ? worker.log_format(http->access_log_format) : nullptr;
  return true;
}

bool HttpSite::refresh(Worker& worker, const ConnectionTraits& traits) {
  if (view_version == view->version()) return true;
  if (set(worker, *view, view->listener(listener->name), traits)) return true;
  table = view->route_table(settings->route_table);   // set() has noted the version
  return false;
}

RequestOrigin HttpSite::origin() const {
  RequestOrigin origin;
  origin.view = view;
  origin.outbound = listener->outbound;
  origin.settings = settings;
  if (table != nullptr) origin.table = *table;
  origin.counters = counters;
  origin.log_format = log_format;
  return origin;
}

ClientFacts::ClientFacts(net::Address remote_address, net::Address local_address, net::Address dialled)
    : remote(std::move(remote_address)),
      local(std::move(local_address)),
      destination(std::move(dialled)),
      remote_text(net::to_string(remote)),
      local_text(net::to_string(local)) {}

void ClientFacts::describe(RequestOrigin& origin) const {
  origin.connection = {.remote_ip = remote.host, .remote_is_loopback = is_loopback(remote), .tls = tls != nullptr, .client_tls = tls.get()};
  origin.remote_text = remote_text;
  origin.local_text = local_text;
  origin.destination = &destination;
  origin.remote = &remote;
  origin.local = &local;
}

Request& LiveRequests::take(Worker& worker, const HttpSite& site, stream::ServerStream& stream) {
  Request& request = worker.take_request();
  if (site.table != nullptr) request.look_ahead(site.table->get(), stream.request().authority);
  return request;
}

Request& LiveRequests::begin(Request& taken, stream::ServerStream& stream, stream::End end, RequestOrigin origin) {
  origin.owner = this;
  requests_.push_back(&taken);
  taken.begin(stream, end, std::move(origin));
  return taken;
}

void LiveRequests::abandon_all() {
  while (!requests_.empty()) requests_.back()->abandon();
}

stream::H1ServerOptions connection_options(const runtime::HttpConnectionSettings& settings) {
  stream::H1ServerOptions options;
  options.head_limits = {.bytes_max = settings.request_headers_bytes_max, .fields_max = settings.request_headers_count_max};
  options.header_timeout =
      settings.request_headers_timeout > Duration::zero() ? settings.request_headers_timeout : kHeaderTimeoutDefault;
  options.idle_timeout = settings.idle_timeout;
  options.server_name = settings.server_name;
  options.max_connection_duration = settings.max_connection_duration;
  options.http2_streams_max = settings.http2_streams_max;
  options.http2_stream_window_bytes = settings.http2_stream_window_bytes;
  options.http2_connection_window_bytes = settings.http2_connection_window_bytes;
  options.http2_extended_connect = settings.http2_extended_connect;
  return options;
}

void record_refusal(Worker& worker, const RequestOrigin& origin, std::uint16_t status, std::string_view detail) {
  static const http::RequestHead kNoRequest;
  origin.counters->cx_protocol_error.add();
  RequestRecord record;
  record.started = worker.loop().now();
  record.started_wall = worker.loop().wall_now();
  record.request = &kNoRequest;
  record.status = status;
  record.flags = kDownstreamProtocolError;
  record.details = detail;
  record.downstream_local_address = origin.local_text;
  record.downstream_remote_address = origin.remote_text;
  worker.on_request_end(record, origin);
}

}  // namespace lateen::proxy
