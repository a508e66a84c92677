#include "cli/exec_names.h"

#include <gtest/gtest.h>

namespace lateen::cli {
namespace {

ExecServices sample() {
  ExecServices list;
  list.search = {"default.svc.cluster.local", "svc.cluster.local", "cluster.local"};
  list.services = {{"reviews", {"reviews", "reviews.default", "reviews.default.svc.cluster.local"}, {"10.96.0.2"}, {9080, 9081}},
                   {"ratings", {"ratings"}, {"10.96.0.3", "fd00::3"}, {9080}},
                   {"wild", {"*.example.com"}, {"240.240.0.9"}, {443}},
                   {"portless", {"portless"}, {"10.96.0.4"}, {}}};
  return list;
}

// One question in the form of RFC 1035, 4.1.
std::string query(std::string_view name, char type, std::string_view flags = std::string_view("\x01\x00", 2)) {
  std::string bytes = "\x12\x34" + std::string(flags) + std::string("\0\1\0\0\0\0\0\0", 8);
  while (!name.empty()) {
    const auto dot = std::min(name.find('.'), name.size());
    bytes += static_cast<char>(dot);
    bytes += name.substr(0, dot);
    name.remove_prefix(std::min(dot + 1, name.size()));
  }
  bytes += std::string("\0\0", 2);
  bytes += type;
  return bytes + std::string("\0\1", 2);
}

int code(const DnsReply& reply) { return reply.bytes[3] & 0x0F; }
int answers(const DnsReply& reply) { return reply.bytes[7]; }

TEST(ExecDns, AnswersTheAddressOfAService) {
  const ExecNames names(sample());
  const std::string asked = query("Reviews.Default", 1);
  const auto reply = answer_dns(asked, names);
  ASSERT_TRUE(reply);
  const std::string answer = std::string("\xC0\x0C\0\1\0\1\0\0\0\1\0\4", 12) + "\x0A\x60" + std::string("\0\2", 2);
  EXPECT_EQ(reply->bytes, "\x12\x34\x85\x80" + std::string("\0\1\0\1\0\0\0\0", 8) + asked.substr(12) + answer);
  EXPECT_EQ(reply->unknown_name, "");
}

TEST(ExecDns, CodesAndCounts) {
  const ExecNames names(sample());
  constexpr char kA = 1, kMx = 15, kAaaa = 28;
  const struct { const char* name; char type; int code, answers; const char* unknown; } cases[] = {
      {"reviews", kA, 0, 1, ""},
      {"reviews", kAaaa, 0, 0, ""},
      {"ratings", kAaaa, 0, 1, ""},
      {"reviews", kMx, 0, 0, ""},
      {"a.example.com", kA, 0, 1, ""},
      {"a.b.example.com", kA, 0, 1, ""},
      {"example.com", kA, 3, 0, "example.com"},
      {"localhost", kA, 0, 1, ""},
      {"revews", kA, 3, 0, "revews"},
      {"revews", kAaaa, 3, 0, ""},
      {"revews.default.svc.cluster.local", kA, 3, 0, ""},
  };
  for (const auto& wanted : cases) {
    const auto reply = answer_dns(query(wanted.name, wanted.type), names);
    ASSERT_TRUE(reply) << wanted.name;
    EXPECT_EQ(code(*reply), wanted.code) << wanted.name;
    EXPECT_EQ(answers(*reply), wanted.answers) << wanted.name;
    EXPECT_EQ(reply->unknown_name, wanted.unknown) << wanted.name;
  }
}

TEST(ExecDns, IgnoresWhatIsNoQueryAndSurvivesEveryCut) {
  const ExecNames names(sample());
  const std::string whole = query("reviews.default.svc.cluster.local", 1);
  for (std::size_t length = 0; length < whole.size(); ++length) EXPECT_FALSE(answer_dns(whole.substr(0, length), names)) << length;
  EXPECT_FALSE(answer_dns(query("reviews", 1, std::string_view("\x81\x00", 2)), names));  // a response
  EXPECT_EQ(code(*answer_dns(query("reviews", 1, std::string_view("\x10\x00", 2)), names)), 4);  // another opcode
  std::string compressed = whole;
  compressed[12] = '\xC0';
  EXPECT_FALSE(answer_dns(compressed, names));
}

TEST(ExecFiles, HostsKeepTheMachinesNamesAndAddTheMeshs) {
  const ExecNames names(sample());
  const std::string text = hosts_file(names, "127.0.0.1 localhost # here\n10.0.0.9 REVIEWS old\n192.0.2.7 printer");
  EXPECT_EQ(text,
            "127.0.0.1 localhost # here\n192.0.2.7 printer\n# services of the mesh\n"
            "10.96.0.2 reviews reviews.default reviews.default.svc.cluster.local\n"
            "10.96.0.3 ratings\nfd00::3 ratings\n10.96.0.4 portless\n");
  EXPECT_TRUE(hosts_file(names, "").starts_with("127.0.0.1 localhost\n"));
}

TEST(ExecFiles, ResolverAsksHostsAndUs) {
  EXPECT_EQ(nsswitch_conf("passwd: files\nhosts: files resolve [!UNAVAIL=return] mymachines dns\ngroup: files\n"),
            "passwd: files\ngroup: files\nhosts: files dns\n");
  const std::string text = resolv_conf(sample(), "127.0.0.1");
  EXPECT_NE(text.find("nameserver 127.0.0.1\nsearch default.svc.cluster.local svc.cluster.local cluster.local\n"), std::string::npos);
}

TEST(ExecRefusals, AreDescribed) {
  const ExecNames names(sample());
  EXPECT_EQ(describe_refusal(names, "10.96.0.2", 8080), "reviews (10.96.0.2) has no port 8080; its ports: 9080, 9081");
  EXPECT_EQ(describe_refusal(names, "10.96.0.2", 9081), "") << "it came meanwhile";
  EXPECT_EQ(describe_refusal(names, "10.96.0.4", 1), "portless (10.96.0.4) has no ports");
  EXPECT_EQ(describe_refusal(names, "192.0.2.1", 80), "192.0.2.1:80 is not an address of the mesh; inside it only services can be reached");
}

TEST(ExecNames, SuggestsTheNearestName) {
  const ExecNames names(sample());
  EXPECT_EQ(names.suggestion("revews"), "reviews");
  EXPECT_EQ(names.suggestion("completely-other"), std::nullopt);
}

}  // namespace
}  // namespace lateen::cli
