// Finding the running mesh from a command that wants to be inside it.
#pragma once

#include <string>

#include "base/result.h"
#include "base/time.h"
#include "cli/admin_client.h"
#include "cli/exec_connection.h"

namespace lateen::cli {

// The admin address: `given` (of --admin), else LATEEN_ADMIN, else 127.0.0.1:15000.
std::string admin_address(const std::string& given);

// Asks the admin port where exec goes in.
Result<ExecDirections> ask_exec_directions(const AdminClient& admin);

// Connects to the mesh's socket, which must belong to this user (or root), and says hello.
Result<ExecConnection> greet_mesh(const std::string& socket, const ExecHello& hello);
// Waits for the first list. An ExecError of the mesh becomes an Error with its text.
Result<ExecServices> await_services(ExecConnection& connection, Duration timeout);
// Waits until everything queued is written.
Result<void> flush_all(ExecConnection& connection, Duration timeout);

}  // namespace lateen::cli
