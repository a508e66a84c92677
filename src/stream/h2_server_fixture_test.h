// An HTTP/2 client and a scripted server on a virtual network.
#pragma once

#include <string>

#include "stream/scripted_server_test.h"
#include "stream/server_connection.h"
#include "testing/h2_client.h"

namespace lateen::stream {

using namespace std::chrono_literals;
using testing::H2Client;

// HTTP/1.1 or HTTP/2, by the first bytes.
inline std::unique_ptr<ServerConnection> make_either(net::Loop& loop, std::unique_ptr<net::Socket> socket,
                                                     ServerStreamAcceptor& acceptor, const H1ServerOptions& options) {
  return make_server_connection(loop, std::move(socket), acceptor, options);
}

struct Fixture {
  explicit Fixture(H1ServerOptions options = {}, H2Client::Options client_options = {}, std::uint64_t seed = 1,
                   testing::NetworkOptions network = testing::NetworkOptions::calm())
      : loop(seed, network), server(loop, options, make_either), client(loop, server.address(), client_options) {
    server.on_exchange = answer_at_end;
  }
  H2Client::Answer& get(std::string_view path, const H2Client::Fields& extra = {}) {
    return finish(client.get(path, extra));
  }
  H2Client::Answer& finish(std::int32_t id) {
    loop.run_for(500ms);
    return client.answer(id);
  }
  testing::VirtualLoop loop;
  Server server;
  H2Client client;
};

inline std::string bytes_of(std::size_t size) {
  std::string text;
  while (text.size() < size) text += std::to_string(text.size()) + ",";
  text.resize(size);
  return text;
}

}  // namespace lateen::stream
