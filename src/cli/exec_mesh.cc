#include "cli/exec_mesh.h"

#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>

#include "net/blocking.h"

namespace lateen::cli {

namespace {

constexpr std::string_view kDefaultAdmin = "127.0.0.1:15000";
constexpr Duration kAdminTimeout = std::chrono::seconds(5);
constexpr std::size_t kAnswerBytesMax = 64 * 1024;

// The body of a short HTTP/1.0 answer, which ends with the connection.
Result<std::string> body_of(std::string_view answer, const std::string& what) {
  const auto head_end = answer.find("\r\n\r\n");
  if (!answer.starts_with("HTTP/1.") || head_end == std::string_view::npos) {
    return fail(ErrorCode::kProtocol, what + ": not an answer of a mesh's admin port");
  }
  const std::string_view status = answer.substr(9, 3);
  const std::string_view body = answer.substr(head_end + 4);
  if (status != "200") return fail(ErrorCode::kProtocol, what + ": status " + std::string(status) + " " + std::string(body.substr(0, 200)));
  return std::string(body);
}

int milliseconds(Duration duration) {
  return static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

bool wait_for(const ExecConnection& connection, short events, Duration timeout) {
  pollfd wait{connection.descriptor(), events, 0};
  return ::poll(&wait, 1, milliseconds(timeout)) > 0;
}

}  // namespace

std::string admin_address(const std::string& given) {
  if (!given.empty()) return given;
  const char* from_environment = std::getenv("LATEEN_ADMIN");
  return from_environment != nullptr && *from_environment != '\0' ? from_environment : std::string(kDefaultAdmin);
}

Result<std::string> admin_get(const std::string& admin, std::string_view path) {
  LATEEN_TRY(const net::Address address, net::parse_address(admin));
  auto socket = net::connect_blocking(address, kAdminTimeout);
  if (!socket) {
    if (socket.error().code != ErrorCode::kNotFound) return tl::unexpected(socket.error());
    return fail(ErrorCode::kNotFound, "no mesh at " + admin + "; start one with lateen run -f DIR, or name its admin address by --admin or LATEEN_ADMIN");
  }
  // HTTP/1.0: the answer comes without chunks and ends with the connection.
  LATEEN_TRY_VOID(net::write_all(*socket, "GET " + std::string(path) + " HTTP/1.0\r\nHost: " + admin + "\r\n\r\n"));
  std::string answer;
  for (;;) {
    LATEEN_TRY(const std::string bytes, net::read_some(*socket, kAnswerBytesMax));
    if (bytes.empty()) break;
    answer += bytes;
    if (answer.size() > kAnswerBytesMax) return fail(ErrorCode::kOverLimit, admin + ": an answer of more than 64 KiB");
  }
  return body_of(answer, "http://" + admin + std::string(path));
}

Result<ExecDirections> ask_exec_directions(const std::string& admin) {
  LATEEN_TRY(const std::string body, admin_get(admin, "/lateen/exec-socket"));
  return parse_exec_directions(body);
}

Result<ExecConnection> greet_mesh(const std::string& socket, const ExecHello& hello) {
  LATEEN_TRY(net::Descriptor descriptor, net::connect_unix(socket));
  LATEEN_TRY(const unsigned user, net::peer_user(descriptor.get()));
  if (user != ::geteuid() && user != 0) return fail(ErrorCode::kConflict, socket + ": belongs to a mesh of another user");
  ExecConnection connection(std::move(descriptor));
  LATEEN_TRY_VOID(connection.queue(hello));
  return connection;
}

Result<ExecServices> await_services(ExecConnection& connection, Duration timeout) {
  LATEEN_TRY_VOID(flush_all(connection, timeout));
  // A long list comes in several pieces; each may take its time.
  while (wait_for(connection, POLLIN, timeout)) {
    LATEEN_TRY(std::vector<ExecConnection::Incoming> messages, connection.receive());
    for (ExecConnection::Incoming& incoming : messages) {
      if (auto* services = std::get_if<ExecServices>(&incoming.message)) return std::move(*services);
      if (const auto* error = std::get_if<ExecError>(&incoming.message)) return fail(ErrorCode::kInvalidConfig, error->message);
      return fail(ErrorCode::kProtocol, "an unexpected message of the mesh");
    }
  }
  return fail(ErrorCode::kTimeout, "the mesh does not answer");
}

Result<void> flush_all(ExecConnection& connection, Duration timeout) {
  LATEEN_TRY_VOID(connection.flush());
  while (connection.wants_to_write()) {
    if (!wait_for(connection, POLLOUT, timeout)) return fail(ErrorCode::kTimeout, "the mesh does not read");
    LATEEN_TRY_VOID(connection.flush());
  }
  return {};
}

}  // namespace lateen::cli
