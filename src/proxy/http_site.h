// HttpSite: what serves the requests of an HTTP connection at one moment: a listener's HTTP chain and its route table.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "proxy/chain_selection.h"
#include "proxy/metrics.h"
#include "proxy/request.h"
#include "proxy/tls_facts.h"
#include "proxy/worker_view.h"
#include "runtime/snapshot.h"
#include "stream/h1_server_connection.h"

namespace lateen::proxy {

class Worker;

struct HttpSite {
  WorkerView* view = nullptr;
  std::uint64_t view_version = 0;                       // of which this is what was found
  std::shared_ptr<const runtime::Listener> listener;    // pins what `settings` points into
  const runtime::HttpConnectionSettings* settings = nullptr;
  // In the view's snapshot; null: none of that name. A connection that waits pins no routes.
  const std::shared_ptr<const runtime::RouteTable>* table = nullptr;
  ListenerSlot* counters = nullptr;
  const AccessLogFormat* log_format = nullptr;

  // Takes over `chain_listener` as it is, for connections with `traits`. False: its chain is none for HTTP; nothing changes.
  bool set(Worker& worker, WorkerView& of, std::shared_ptr<const runtime::Listener> chain_listener,
           const ConnectionTraits& traits);
  // Looks again if the view has changed since. False: the listener has gone or is no longer for HTTP; what was found
  // last stays.
  bool refresh(Worker& worker, const ConnectionTraits& traits);
  // The origin of a request, as far as the site knows it.
  RequestOrigin origin() const;
};

// The client's end of a connection, as requests want to know it.
struct ClientFacts {
  net::Address remote, local, destination;
  std::string remote_text, local_text;
  std::shared_ptr<const ClientTls> tls;                 // null: plain text

  ClientFacts(net::Address remote_address, net::Address local_address, net::Address dialled);
  void describe(RequestOrigin& origin) const;
};

// The requests of a connection that are not over.
class LiveRequests final : public RequestOwner {
 public:
  ~LiveRequests() override { abandon_all(); }
  // Two steps, so that the request can look ahead while its origin is put together.
  Request& take(Worker& worker, const HttpSite& site, stream::ServerStream& stream);
  Request& begin(Request& taken, stream::ServerStream& stream, stream::End end, RequestOrigin origin);
  // The connection is about to be destroyed: nothing more can be said to the client.
  void abandon_all();
  bool empty() const { return requests_.empty(); }

 private:
  void on_request_over(Request& request) override { std::erase(requests_, &request); }
  std::vector<Request*> requests_;
};

stream::H1ServerOptions connection_options(const runtime::HttpConnectionSettings& settings);

// A request that the codec refused before it was one.
void record_refusal(Worker& worker, const RequestOrigin& origin, std::uint16_t status, std::string_view detail);

}  // namespace lateen::proxy
