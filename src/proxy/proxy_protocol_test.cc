#include "proxy/proxy_protocol.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace lateen::proxy {
namespace {

using Result = ProxyHeaderResult;

Result read(const std::string& bytes) {
  ProxyHeader header;
  return read_proxy_header(bytes, header);
}
net::Address ip(const std::string& text) { return *net::parse_address(text); }

TEST(ProxyProtocol, ReadsWhatItWrites) {
  const std::vector<std::pair<net::Address, net::Address>> pairs = {
      {ip("1.2.3.4:56"), ip("10.0.0.1:443")}, {ip("[2001:db8::1]:65535"), ip("[::1]:1")}};
  for (const auto& [source, destination] : pairs) {
    for (const unsigned version : {1U, 2U}) {
      const std::string header_bytes = write_proxy_header(version, source, destination);
      ProxyHeader header;
      ASSERT_EQ(read_proxy_header(header_bytes + "GET /", header), Result::kComplete);
      EXPECT_EQ(header.bytes, header_bytes.size());
      EXPECT_EQ(header.version, version);
      EXPECT_FALSE(header.local);
      EXPECT_EQ(header.source, source);
      EXPECT_EQ(header.destination, destination);
      for (std::size_t size = 0; size < header_bytes.size(); ++size) {
        EXPECT_EQ(read(header_bytes.substr(0, size)), Result::kMore) << version << ' ' << size;
      }
    }
  }
  for (const unsigned version : {1U, 2U}) {
    ProxyHeader header;
    ASSERT_EQ(read_proxy_header(write_proxy_header(version, ip("1.2.3.4:5"), ip("[::1]:6")), header), Result::kComplete);
    EXPECT_TRUE(header.local);
  }
}

TEST(ProxyProtocol, Version1IsStrict) {
  EXPECT_EQ(read("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"), Result::kComplete);
  EXPECT_EQ(read("PROXY UNKNOWN\r\n"), Result::kComplete);
  EXPECT_EQ(read("PROXY UNKNOWN ffff:: ffff:: 65535 65535\r\n"), Result::kComplete);
  for (const char* line : {"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", "PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n", "PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
                           "PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n", "PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n", "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
                           "PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n", "PROXY \r\n"}) {
    EXPECT_EQ(read(line), Result::kInvalid) << line;
  }
  EXPECT_EQ(read("PROXY " + std::string(101, 'x')), Result::kInvalid);
  EXPECT_EQ(read("PROXX"), Result::kAbsent);
  EXPECT_EQ(read("GET / HTTP/1.1\r\n"), Result::kAbsent);
}

TEST(ProxyProtocol, Version2IsStrict) {
  const std::string good = write_proxy_header(2, ip("1.2.3.4:56"), ip("10.0.0.1:443"));
  const auto with = [&](std::size_t at, char byte) {
    std::string changed = good;
    changed[at] = byte;
    return changed;
  };
  EXPECT_EQ(read(with(12, '\x11')), Result::kInvalid);   // version
  EXPECT_EQ(read(with(12, '\x22')), Result::kInvalid);   // command
  EXPECT_EQ(read(with(13, '\x12')), Result::kInvalid);   // UDP
  EXPECT_EQ(read(with(15, '\x0b')), Result::kInvalid);   // shorter than its addresses
  EXPECT_EQ(read(with(14, '\x7f')), Result::kInvalid);   // longer than the bound
  ProxyHeader header;
  ASSERT_EQ(read_proxy_header(with(12, '\x20'), header), Result::kComplete);
  EXPECT_TRUE(header.local);
  // Options behind the addresses are passed over.
  std::string with_options = with(15, '\x0f') + "abc";
  ASSERT_EQ(read_proxy_header(with_options + "rest", header), Result::kComplete);
  EXPECT_EQ(header.bytes, with_options.size());
  EXPECT_EQ(header.source, ip("1.2.3.4:56"));
}

}  // namespace
}  // namespace lateen::proxy
