#include "cli/exec_mesh.h"

#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>

namespace lateen::cli {

namespace {

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
  return from_environment != nullptr && *from_environment != '\0' ? from_environment : "127.0.0.1:15000";
}

Result<ExecDirections> ask_exec_directions(const AdminClient& admin) {
  LATEEN_TRY(const std::string body, admin.call("GET", "/lateen/exec-socket"));
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
