#include "proxy/worker.h"

#include <algorithm>
#include <unordered_set>

#include "proxy/arrivals.h"

namespace lateen::proxy {

// One listening socket of this worker.
class Worker::AcceptPoint final : public net::ListenSocketEvents {
 public:
  AcceptPoint(Worker& worker, ListenSpec spec, std::uint64_t group) : worker_(worker), spec_(std::move(spec)), group_(group) {}

  void take(std::unique_ptr<net::ListenSocket> socket) {
    socket_ = std::move(socket);
    address_ = socket_->local_address();
  }
  const net::Address& address() const { return address_; }
  net::ListenSocket& socket() const { return *socket_; }
  std::uint64_t group() const { return group_; }
  void on_accept(std::unique_ptr<net::Socket> socket) override { admit_socket(worker_, std::move(socket), spec_, group_); }

 private:
  Worker& worker_;
  const ListenSpec spec_;
  const std::uint64_t group_;
  std::unique_ptr<net::ListenSocket> socket_;
  net::Address address_;
};

Worker::Worker(net::Loop& loop, unsigned index, std::uint64_t seed, const WorkerShared& shared)
    : loop_(loop), index_(index), shared_(shared), random_(seed) {}

// Top down: connections let go of their requests, requests of their upstream streams, views of their pools.
Worker::~Worker() {
  accept_points_.clear();
  connections_.clear();
  requests_.clear();
  shadows_.end_all();
  views_.clear();
}

WorkerView& Worker::view(ViewId id) {
  std::unique_ptr<WorkerView>& view = views_[id];
  if (view == nullptr) view = std::make_unique<WorkerView>(id, loop_, index_, random_, *shared_.tls);
  return *view;
}

Result<net::Address> Worker::listen(const std::string& name, const net::Address& at, const net::ListenOptions& options,
                                    const ListenSpec& spec) {
  auto point = std::make_unique<AcceptPoint>(*this, spec, ++groups_);
  LATEEN_TRY(std::unique_ptr<net::ListenSocket> socket, loop_.listen(at, options, *point));
  point->take(std::move(socket));
  const net::Address bound = point->address();
  accept_points_[name] = std::move(point);
  return bound;
}

void Worker::adopt(ViewId id, std::shared_ptr<const runtime::Snapshot> snapshot, std::shared_ptr<const ClusterTable> table) {
  WorkerView& adopting = view(id);
  adopting.adopt(std::move(snapshot), std::move(table));
  for (const auto& request : requests_) request->on_adopted(adopting);
}

Result<void> Worker::adopt_listener(const std::string& name, int fd, const ListenSpec& spec) {
  auto point = std::make_unique<AcceptPoint>(*this, spec, ++groups_);
  LATEEN_TRY(std::unique_ptr<net::ListenSocket> socket, loop_.adopt_listener(fd, *point));
  point->take(std::move(socket));
  accept_points_[name] = std::move(point);
  return {};
}

void Worker::close_listener(const std::string& name) {
  const auto found = accept_points_.find(name);
  if (found == accept_points_.end()) return;
  found->second->socket().accept_waiting();
  const std::uint64_t group = found->second->group();
  accept_points_.erase(found);
  std::vector<Connection*> theirs;
  for (const auto& [connection, owned] : connections_) {
    if (connection->group_ == group) theirs.push_back(connection);
  }
  for (Connection* connection : theirs) connection->drain();
}

void Worker::drain(std::function<void()> done) {
  for (const auto& [name, point] : accept_points_) point->socket().accept_waiting();
  draining_ = true;
  drained_ = std::move(done);
  accept_points_.clear();
  std::vector<Connection*> all;
  for (const auto& [connection, owned] : connections_) all.push_back(connection);
  for (Connection* connection : all) connection->drain();
  for (const auto& [id, view] : views_) view->drain();
  note_if_drained();
}

void Worker::note_if_drained() {
  if (!drained_ || !connections_.empty()) return;
  loop_.defer(std::exchange(drained_, nullptr));
}

void Worker::add(std::unique_ptr<Connection> connection, std::uint64_t group) {
  Connection* key = connection.get();
  key->group_ = group;
  connections_.emplace(key, std::move(connection));
}

void Worker::close(Connection& connection) {
  closing_.push_back(&connection);
  loop_.arm<&Worker::sweep>(sweep_, Duration::zero(), this);
}

void Worker::sweep() {
  for (Connection* connection : std::exchange(closing_, {})) connections_.erase(connection);
  trim_requests();
  note_if_drained();
}

bool Worker::listens_at(const net::Address& address) const {
  return std::any_of(accept_points_.begin(), accept_points_.end(),
                     [&](const auto& entry) { return entry.second->address() == address; });
}

Request& Worker::take_request() {
  if (spare_requests_.empty()) {
    requests_.push_back(std::make_unique<Request>(*this));
    return *requests_.back();
  }
  Request& request = *spare_requests_.back();
  spare_requests_.pop_back();
  return request;
}

void Worker::give_back(Request& request) {
  spare_requests_.push_back(&request);
  // Not here: the request is still in one of its own functions.
  if (spare_requests_.size() > 2 * kSpareRequestsMax) loop_.arm<&Worker::sweep>(sweep_, Duration::zero(), this);
}

// After a peak of concurrent requests their memory goes back.
void Worker::trim_requests() {
  if (spare_requests_.size() <= 2 * kSpareRequestsMax) return;
  const std::unordered_set<const Request*> unwanted(spare_requests_.begin() + kSpareRequestsMax, spare_requests_.end());
  spare_requests_.resize(kSpareRequestsMax);
  std::erase_if(requests_, [&](const std::unique_ptr<Request>& request) { return unwanted.contains(request.get()); });
}

std::string_view Worker::date() {
  const WallTime now = loop_.wall_now();
  const std::int64_t second = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  if (second != date_second_) {
    date_second_ = second;
    http::write_date(date_.data(), now);
  }
  return {date_.data(), date_.size()};
}

const AccessLogFormat* Worker::log_format(const std::optional<std::string>& format) {
  if (shared_.access_log == nullptr) return nullptr;
  const std::string text = format.value_or("");
  const auto known = log_formats_.find(text);
  if (known != log_formats_.end()) return known->second.get();
  Result<AccessLogFormat> compiled = AccessLogFormat::compile(text);
  // A format that this program does not know is Istio's default rather than no log at all.
  if (!compiled) compiled = AccessLogFormat::compile("");
  auto kept = compiled ? std::make_unique<const AccessLogFormat>(*std::move(compiled)) : nullptr;
  return log_formats_.emplace(text, std::move(kept)).first->second.get();
}

void Worker::log(const AccessLogFormat& format, const RequestRecord& record) {
  shared_.access_log->worker(index_).record(format, record);
}

void Worker::on_request_end(const RequestRecord& record, const RequestOrigin& origin) {
  metrics().record(origin.view->id(), record);
  if (origin.log_format != nullptr) log(*origin.log_format, record);
}

}  // namespace lateen::proxy
