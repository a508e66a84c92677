#include "testing/virtual_network.h"

#include <gtest/gtest.h>
#include <map>
#include <string>

#include "testing/peer.h"
#include "testing/virtual_loop.h"

namespace lateen::testing {
namespace {

using namespace std::chrono_literals;

std::string text_of(std::size_t size, std::uint64_t seed) {
  std::string text;
  while (text.size() < size) text += std::to_string(seed += 0x9e3779b9) + ",";
  text.resize(size);
  return text;
}

TEST(VirtualNetwork, EveryByteArrivesInOrderWhateverTheSegmentsAndTheFillOfThePipe) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    NetworkOptions options;
    options.pipe_bytes = 1 + seed * 37 % 5000;
    VirtualNetwork network(seed, options);
    VirtualLoop clients(network), servers(network);
    PeerListener listener(servers);
    const std::string there = text_of(20'000, seed), back = text_of(10'000, seed + 1);
    Peer client(clients, listener.address());
    client.write(there);
    client.shutdown_write();
    network.run_until([&] { return listener.size() == 1; });
    listener.at(0).write(back);
    listener.at(0).shutdown_write();
    ASSERT_TRUE(network.run_until([&] { return client.ended() && listener.at(0).ended(); })) << "seed " << seed;
    EXPECT_EQ(listener.at(0).received(), there) << "seed " << seed;
    EXPECT_EQ(client.received(), back) << "seed " << seed;
  }
}

TEST(VirtualNetwork, TheSameSeedGivesTheSameRun) {
  const auto run = [](std::uint64_t seed) {
    VirtualNetwork network(seed);
    VirtualLoop loop(network);
    PeerListener listener(loop);
    Peer client(loop, listener.address());
    client.write(text_of(100'000, 1));
    client.shutdown_write();
    network.run_until([&] { return listener.size() == 1 && listener.at(0).ended(); });
    return network.now();
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
}

TEST(VirtualNetwork, AFullPipeBlocksTheWriterUntilTheReaderReads) {
  NetworkOptions options = NetworkOptions::calm();
  options.pipe_bytes = 1000;
  VirtualNetwork network(1, options);
  VirtualLoop loop(network);
  PeerListener listener(loop);
  Peer client(loop, listener.address());
  network.run_for(10ms);
  listener.at(0).pause();
  client.write(std::string(5000, 'x'));
  network.run_for(1s);
  EXPECT_EQ(client.unsent(), 4000u);
  listener.at(0).resume();
  network.run_for(1s);
  EXPECT_EQ(client.unsent(), 0u);
  EXPECT_EQ(listener.at(0).received().size(), 5000u);
}

TEST(VirtualNetwork, ConnectingFailsWhereNobodyListensAndGivesUpWhereNobodyAnswers) {
  VirtualNetwork network(1);
  VirtualLoop loop(network);
  const net::Address nowhere{net::Address::Family::kIpv4, "10.0.0.1", 80};
  Peer refused(loop, nowhere);
  network.run_until_idle();
  EXPECT_EQ(refused.error(), ECONNREFUSED);

  network.set_unreachable(nowhere, true);
  const Time start = network.now();
  Peer lost(loop, nowhere);
  network.run_until_idle();
  EXPECT_EQ(lost.error(), ETIMEDOUT);
  EXPECT_EQ(network.now() - start, 127s);
}

TEST(VirtualNetwork, ClosingWithUnreadBytesResetsThePeerAsLinuxDoes) {
  VirtualNetwork network(1, NetworkOptions::calm());
  VirtualLoop loop(network);
  PeerListener listener(loop);
  Peer client(loop, listener.address());
  network.run_for(10ms);
  listener.at(0).pause();
  client.write("unread");
  network.run_for(10ms);
  listener.at(0).close();
  network.run_until_idle();
  EXPECT_EQ(client.error(), ECONNRESET);
  EXPECT_FALSE(client.ended());
}

TEST(VirtualNetwork, NothingStaysOpenWhenBothSidesHaveClosed) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    NetworkOptions options;
    options.reset_per_million = 20'000;
    options.refuse_per_million = 50'000;
    VirtualNetwork network(seed, options);
    VirtualLoop loop(network);
    {
      PeerListener listener(loop);
      std::vector<std::unique_ptr<Peer>> clients;
      for (int i = 0; i < 20; ++i) {
        clients.push_back(std::make_unique<Peer>(loop, listener.address()));
        clients.back()->write(text_of(10'000, seed));
      }
      network.run_for(Duration(static_cast<std::int64_t>(seed) * 100'000));
    }
    network.run_until_idle();
    EXPECT_EQ(network.open_sockets(), 0u) << "seed " << seed;
  }
}

}  // namespace
}  // namespace lateen::testing
