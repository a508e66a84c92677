// What `lateen exec` and the running mesh say to each other, over a unix stream socket.
//
// Frame: 4 bytes of length (big endian), then that many bytes of one JSON object with a "type". Descriptors travel with
// the first byte of the frame they belong to (SCM_RIGHTS). Both sides refuse a frame above kExecFrameBytesMax.
//
//   exec                                   mesh
//     hello {protocol, identity, labels}  ->          who asks; the mesh makes the view at its first use
//                                         <- services {identity, workers, search, services}    or error {message}
//     sockets {port, family, count} + fds ->          `count` listening sockets, one a worker; the mesh owns them now
//                                         <- services ...   whenever names, addresses or ports change: the whole list
//
// There is no other bookkeeping, because both sides can follow the list alone:
//   - exec opens and passes sockets for each (port, family) that is in a list and was not in the one before;
//   - the mesh closes the sockets of each (port, family) that is in no list any more, at the moment it sends that list.
// Sockets are bound to 0.0.0.0:port (family 4) or [::]:port (family 6) inside the namespace of exec, where every address
// is local: getsockname of an accepted connection is the address that was dialled. They are already listening, so a
// connection waits in the kernel's queue until the mesh accepts: exec starts its command without waiting for an answer.
// The mesh lets go of everything of a session when the connection ends.
//
// Where the socket is: GET /lateen/exec-socket on the admin port answers with the JSON of ExecDirections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace lateen::cli {

inline constexpr int kExecProtocol = 1;
// A list of some 50,000 services. What is longer is refused, not cut.
inline constexpr std::size_t kExecFrameBytesMax = 16 * 1024 * 1024;
inline constexpr std::size_t kExecFrameHeaderBytes = 4;
// One listening socket a worker; the kernel's own limit for one message is 253.
inline constexpr std::size_t kExecDescriptorsMax = 240;
inline constexpr std::size_t kExecServicesMax = 65'536;
inline constexpr std::size_t kExecNamesPerServiceMax = 64;
// Each captured port costs one socket a worker in each session.
inline constexpr std::size_t kExecPortsMax = 1'024;

struct ExecHello {
  int protocol = kExecProtocol;
  std::string identity;                        // "[namespace/]name"; empty: namespace default, no labels; "ns/": that namespace, no labels
  std::map<std::string, std::string> labels;   // added to the identity's own (exec --label)
  std::string command;                         // for the mesh's log only
  bool operator==(const ExecHello&) const = default;
};

struct ExecService {
  std::string name;                            // for messages: "reviews"
  std::vector<std::string> hosts;              // every name that resolves, lower case, without a final dot
  std::vector<std::string> addresses;          // virtual addresses, IPv4 before IPv6; given out by the mesh if need be
  std::vector<std::uint16_t> ports;
  bool operator==(const ExecService&) const = default;
};

struct ExecServices {
  std::string identity;                        // as resolved: "default/sleep"
  std::uint32_t workers = 1;                   // how many sockets a port: 1..kExecDescriptorsMax
  std::vector<std::string> search;             // "default.svc.cluster.local", "svc.cluster.local", "cluster.local"
  std::vector<ExecService> services;
  bool operator==(const ExecServices&) const = default;
};

struct ExecSockets {
  std::uint16_t port = 0;
  int family = 4;                              // 4 or 6
  std::uint32_t count = 0;                     // descriptors with this frame
  bool operator==(const ExecSockets&) const = default;
};

// The mesh refuses, and ends the connection after this frame.
struct ExecError {
  std::string message;
  bool operator==(const ExecError&) const = default;
};

using ExecMessage = std::variant<ExecHello, ExecServices, ExecSockets, ExecError>;

// The frame with its length in front. Fails (kOverLimit) above the bounds named here.
Result<std::string> encode_exec_frame(const ExecMessage& message);

// Reads the JSON of one frame (without the length). Errors: kProtocol, kOverLimit.
Result<ExecMessage> decode_exec_message(std::string_view json);

// The length that the first kExecFrameHeaderBytes of a frame announce. Errors: kOverLimit, kProtocol (zero).
Result<std::size_t> decode_exec_frame_length(std::string_view header);

// Every (port, family) that a list needs sockets for, in ascending order: a service with an IPv4 address needs family 4
// for its ports, one with an IPv6 address family 6.
std::vector<std::pair<std::uint16_t, int>> captured_ports(const ExecServices& services);

// The answer of GET /lateen/exec-socket: {"socket": "/run/user/1000/lateen/exec-15000.sock", "http-proxy": "127.0.0.1:15007"}.
struct ExecDirections {
  std::string socket;                          // absolute path
  std::string http_proxy;                      // "127.0.0.1:15007"; empty: the mesh has none
  bool operator==(const ExecDirections&) const = default;
};
std::string to_json(const ExecDirections& directions);
Result<ExecDirections> parse_exec_directions(std::string_view json);

// The folder for sockets of this user: $XDG_RUNTIME_DIR/lateen, else /tmp/lateen-UID.
std::string exec_socket_directory(std::string_view xdg_runtime_dir, unsigned uid);

}  // namespace lateen::cli
