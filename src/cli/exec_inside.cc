#include "cli/exec_inside.h"

#include <poll.h>

#include <cstdio>
#include <fstream>
#include <iterator>

#include "cli/exec_mesh.h"
#include "net/capture.h"
#include "net/listen_guard.h"

namespace lateen::cli {

namespace {

constexpr std::string_view kResponderAddress = "127.0.0.1";
constexpr std::uint16_t kDnsPort = 53;
constexpr std::size_t kDnsBytesMax = 512;       // RFC 1035, 2.3.4
constexpr std::size_t kFileBytesMax = 1 << 20;
constexpr int kBatch = 64;                      // datagrams, refusals: then others have their turn
constexpr Duration kFlushTimeout = std::chrono::seconds(5);

std::string file_content(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::string content((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return content.size() > kFileBytesMax ? std::string() : content;
}

}  // namespace

void ExecNotices::say(const std::string& text) {
  std::erase_if(said_, [&](const auto& entry) { return loop_.now() - entry.second >= kQuiet; });
  if (said_.size() >= kLinesMax || !said_.emplace(text, loop_.now()).second) return;
  std::fprintf(stderr, "lateen: %s\n", text.c_str());
}

Result<std::unique_ptr<ExecInside>> ExecInside::start(net::EpollLoop& loop, ExecConnection connection, ExecServices services, Options options) {
  std::unique_ptr<ExecInside> inside(new ExecInside(loop, std::move(options)));
  inside->connection_ = std::make_unique<ExecConnection>(std::move(connection));
  inside->names_ = std::make_unique<ExecNames>(std::move(services));
  LATEEN_TRY_VOID(inside->cover_names());
  LATEEN_TRY_VOID(inside->start_responder());
  inside->start_refusal_watches();
  inside->open_new_ports();
  // The program must not find a port closed that the mesh was about to get.
  LATEEN_TRY_VOID(flush_all(*inside->connection_, kFlushTimeout));
  LATEEN_TRY_VOID(inside->watch_connection());
  return inside;
}

ExecInside::~ExecInside() = default;

Result<void> ExecInside::cover_names() {
  original_hosts_ = file_content("/etc/hosts");
  const std::string directory = options_.socket.substr(0, options_.socket.rfind('/'));
  LATEEN_TRY(std::vector<net::CoveredFile> covered,
             net::cover_files(directory, {{"/etc/hosts", hosts_file(*names_, original_hosts_)},
                               {"/etc/resolv.conf", resolv_conf(names_->services(), kResponderAddress)},
                               {"/etc/nsswitch.conf", nsswitch_conf(file_content("/etc/nsswitch.conf"))},
                               // A caching daemon would answer from outside.
                               {"/run/nscd/socket", ""}}));
  for (net::CoveredFile& file : covered) {
    if (file.path == "/etc/hosts") hosts_ = std::move(file);
  }
  return {};
}

Result<void> ExecInside::start_responder() {
  LATEEN_TRY(responder_, net::open_datagram_socket({net::Address::Family::kIpv4, std::string(kResponderAddress), kDnsPort}));
  LATEEN_TRY(responder_watch_, ReadWatch::start(loop_, responder_.get(), [this] { on_query(); }));
  return {};
}

// They only serve messages: what cannot be watched is not an error.
void ExecInside::start_refusal_watches() {
  for (const int family : {4, 6}) {
    auto descriptor = net::watch_refusals(family);
    if (!descriptor) continue;
    auto watch = ReadWatch::start(loop_, descriptor->get(), [this, fd = descriptor->get()] { on_refusal(fd); });
    if (!watch) continue;
    refusals_.push_back(std::move(*descriptor));
    refusal_watches_.push_back(std::move(*watch));
  }
}

void ExecInside::adopt(ExecServices services) {
  names_ = std::make_unique<ExecNames>(std::move(services));
  if (hosts_.file.valid()) {
    if (auto written = net::rewrite(hosts_, hosts_file(*names_, original_hosts_)); !written) notices_.say(written.error().message);
  }
  open_new_ports();
}

void ExecInside::open_new_ports() {
  std::set<std::pair<std::uint16_t, int>> open;
  for (const auto& [port, family] : captured_ports(names_->services())) {
    if (open.size() == kExecPortsMax) {
      notices_.say("the mesh has more than " + std::to_string(kExecPortsMax) + " ports; the others are not captured");
      break;
    }
    if (open_ports_.contains({port, family})) {
      open.emplace(port, family);
      continue;
    }
    auto sockets = net::open_capture_sockets(port, family, names_->services().workers);
    if (!sockets) {
      notices_.say("port " + std::to_string(port) + " cannot be captured: " + sockets.error().message);
      continue;
    }
    const auto count = static_cast<std::uint32_t>(sockets->size());
    // The descriptors are ours until they are written, then only the mesh's: it closes a port by closing its sockets.
    if (connection_->queue(ExecSockets{port, family, count}, std::move(*sockets))) open.emplace(port, family);
  }
  open_ports_ = std::move(open);
}

Result<void> ExecInside::watch_connection() {
  LATEEN_TRY(connection_watch_, ReadWatch::start(loop_, connection_->descriptor(), [this] { on_connection(); }));
  return {};
}

void ExecInside::on_connection() {
  auto messages = connection_->receive();
  if (!messages) return lose_mesh();
  for (ExecConnection::Incoming& incoming : *messages) {
    if (auto* services = std::get_if<ExecServices>(&incoming.message)) adopt(std::move(*services));
    if (const auto* error = std::get_if<ExecError>(&incoming.message)) notices_.say("the mesh says: " + error->message);
  }
  if (!connection_->flush()) return lose_mesh();
  connection_watch_->also_writable(connection_->wants_to_write());
}

void ExecInside::lose_mesh() {
  notices_.say("the mesh has gone; its services are out of reach until it is back");
  // Not from inside the watch's own callback.
  loop_.defer([this] {
    connection_watch_.reset();
    connection_.reset();
  });
  open_ports_.clear();
  loop_.arm<&ExecInside::look_for_mesh>(reconnect_timer_, kReconnectEvery, this);
}

void ExecInside::look_for_mesh() {
  auto connection = greet_mesh(options_.socket, options_.hello);
  if (connection && connection->flush()) {
    connection_ = std::make_unique<ExecConnection>(std::move(*connection));
    if (watch_connection()) return;
    connection_.reset();
  }
  loop_.arm<&ExecInside::look_for_mesh>(reconnect_timer_, kReconnectEvery, this);
}

void ExecInside::on_query() {
  for (int i = 0; i < kBatch; ++i) {
    auto query = net::read_datagram(responder_.get(), kDnsBytesMax);
    if (!query) return;
    auto reply = answer_dns(query->bytes, *names_);
    if (!reply) continue;
    net::write_datagram(responder_.get(), {std::move(reply->bytes), query->from});
    if (reply->unknown_name.empty()) continue;
    const auto near = names_->suggestion(reply->unknown_name);
    notices_.say("no service " + reply->unknown_name + " in the mesh" + (near ? "; did you mean " + *near + "?" : ""));
  }
}

void ExecInside::on_refusal(int watch) {
  for (int i = 0; i < kBatch; ++i) {
    const auto dialled = net::read_refusal(watch);
    if (!dialled) return;
    const bool to_loopback = dialled->host.starts_with("127.") || dialled->host == "::1" || dialled->host == "::ffff:127.0.0.1";
    // Without the mesh nothing is captured, and that has been said.
    if (to_loopback || dialled->host.empty() || connection_ == nullptr || open_ports_.empty()) continue;
    const std::string why = describe_refusal(*names_, dialled->host, dialled->port);
    if (!why.empty()) notices_.say(why);
  }
}

void ExecInside::watch_listen(net::Descriptor guard) {
  guard_ = std::move(guard);
  auto watch = ReadWatch::start(loop_, guard_.get(), [this] { on_listen(); });
  // A guard that nobody answers would hold listen() for ever; without its descriptor the call fails at once.
  if (!watch) return guard_.reset();
  guard_watch_ = std::move(*watch);
}

void ExecInside::on_listen() {
  const auto address = net::answer_listen(guard_.get());
  pollfd state{guard_.get(), POLLIN, 0};
  const bool has_nobody_left = ::poll(&state, 1, 0) > 0 && (state.revents & POLLHUP) != 0;
  if (has_nobody_left) loop_.defer([this] { guard_watch_.reset(); });
  if (!address) return;
  notices_.say("a server at " + to_string(*address) + " is refused: exec only goes out into the mesh; start servers outside and register them, as lateen echo does");
}

}  // namespace lateen::cli
