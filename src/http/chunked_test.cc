#include "http/chunked.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace lateen::http {
namespace {

struct Outcome {
  ChunkedDecoder::Event last = ChunkedDecoder::Event::kNeedMore;
  std::string body;
  std::string trailers;
  std::string rest;
};

Outcome decode(const std::string& bytes, std::size_t first, std::size_t piece) {
  ChunkedDecoder decoder;
  Outcome outcome;
  std::size_t at = 0;
  std::size_t end = std::min(first, bytes.size());
  while (outcome.last != ChunkedDecoder::Event::kDone && outcome.last != ChunkedDecoder::Event::kRefused) {
    const ChunkedDecoder::Step step = decoder.next(std::string_view(bytes).substr(at, end - at));
    outcome.last = step.event;
    outcome.body += step.data;
    at += step.used;
    if (step.event != ChunkedDecoder::Event::kNeedMore) continue;
    EXPECT_EQ(at, end);
    if (end == bytes.size()) break;
    end = std::min(end + piece, bytes.size());
  }
  for (const Header& h : decoder.trailers().fields()) {
    outcome.trailers += std::string(h.name) + "=" + std::string(h.value) + ";";
  }
  outcome.rest = bytes.substr(at);
  return outcome;
}

Outcome decode(const std::string& bytes) { return decode(bytes, bytes.size(), 1); }

TEST(ChunkedDecoder, TakesBodiesApart) {
  const Outcome outcome = decode("5\r\nhello\r\n00A;x=\"y;z\"\r\n0123456789\r\n1 ;e\r\n!\r\n0\r\nX-Sum:  7 \r\n\r\nGET");
  EXPECT_EQ(outcome.last, ChunkedDecoder::Event::kDone);
  EXPECT_EQ(outcome.body, "hello0123456789!");
  EXPECT_EQ(outcome.trailers, "x-sum=7;");
  EXPECT_EQ(outcome.rest, "GET");
}

TEST(ChunkedDecoder, NoCutChangesTheOutcome) {
  const std::string bytes = "5;a\r\nhello\r\nA\r\n0123456789\r\n0\r\nX-A: 1\r\nx-b:\r\n\r\nrest";
  for (std::size_t first = 0; first <= bytes.size(); ++first) {
    for (std::size_t piece : {std::size_t{1}, std::size_t{3}, bytes.size()}) {
      const Outcome outcome = decode(bytes, first, piece);
      ASSERT_EQ(outcome.last, ChunkedDecoder::Event::kDone);
      ASSERT_EQ(outcome.body, "hello0123456789");
      ASSERT_EQ(outcome.trailers, "x-a=1;x-b=;");
      ASSERT_EQ(outcome.rest, "rest");
    }
  }
}

TEST(ChunkedDecoder, RefusesWhatReadersDisagreeAbout) {
  using namespace std::string_literals;
  for (const std::string& size : {"-5"s, "+5"s, "0x5"s, "5_0"s, "G"s, " 5"s, "5\x0b"s, "5\0"s, "5.0"s, "10000000000000005"s,
                                  "FFFFFFFFFFFFFFFF"s, "8000000000000000"s, std::string(17, '0') + "5"s, ""s, ";a"s, "5,5"s,
                                  "5 5"s, "5 "s, "5\t"s, "\xef\xbc\x95"s, "5\r"s, "\r\n5"s}) {
    EXPECT_EQ(decode(size + "\r\nhello\r\n0\r\n\r\n").last, ChunkedDecoder::Event::kRefused) << size;
  }
  for (const std::string& bytes :
       {"5\nhello\r\n0\r\n\r\n"s, "5\r\nhello\n0\r\n\r\n"s, "5\r\nhello\r0\r\n\r\n"s, "5\r\nhello0\r\n\r\n"s,
        "5\r\nhelloXX0\r\n\r\n"s, "5\r\nhelloworld\r\n0\r\n\r\n"s, "5\r\nhello\r\n0\n\n"s, "0\r\nX\r\n\r\n"s,
        "5;a\nX\r\nhello\r\n0\r\n\r\n"s, "5;a\rb\r\nhello\r\n0\r\n\r\n"s, "5;a\0b\r\nhello\r\n0\r\n\r\n"s, "0;\n\r\n"s,
        "0\r\nX T: 1\r\n\r\n"s, "0\r\n: 1\r\n\r\n"s, "0\r\nX-T: 1\n\r\n"s, "0\r\nX-T : 1\r\n\r\n"s, "0\r\n X-T: 1\r\n\r\n"s,
        "0\r\nContent-Length: 5\r\n\r\n"s, "0\r\ntransfer-encoding: chunked\r\n\r\n"s, "0\r\nHost: a\r\n\r\n"s,
        "0\r\nX: "s + std::string(20000, 'v') + "\r\n\r\n", "5;"s + std::string(20000, 'a') + "\r\nhello\r\n0\r\n\r\n"}) {
    EXPECT_EQ(decode(bytes).last, ChunkedDecoder::Event::kRefused) << bytes.substr(0, 60);
    EXPECT_EQ(decode(bytes, 1, 1).last, ChunkedDecoder::Event::kRefused) << bytes.substr(0, 60);
  }
}

TEST(ChunkedDecoder, ExtensionsAreBoundedOverTheWholeBody) {
  std::string bytes;
  for (int i = 0; i < 100; ++i) bytes += "1;" + std::string(1000, 'e') + "\r\nx\r\n";
  EXPECT_EQ(decode(bytes).last, ChunkedDecoder::Event::kRefused);
}

TEST(ChunkedDecoder, TrailersAreBoundedInNumber) {
  std::string bytes = "0\r\n";
  for (int i = 0; i < 101; ++i) bytes += "a: b\r\n";
  EXPECT_EQ(decode(bytes + "\r\n").last, ChunkedDecoder::Event::kRefused);
}

TEST(ChunkedDecoder, ReadsBodyAfterBodyAfterReset) {
  ChunkedDecoder decoder;
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(decoder.next("3\r\nabc\r\n0\r\nx: 1\r\n\r\n").data, "abc");
    EXPECT_EQ(decoder.next("\r\n0\r\nx: 1\r\n\r\n").event, ChunkedDecoder::Event::kDone);
    EXPECT_TRUE(decoder.done());
    EXPECT_EQ(decoder.trailers().size(), 1u);
    decoder.reset();
    EXPECT_TRUE(decoder.trailers().empty());
  }
}

TEST(ChunkedDecoder, SaysHowMuchOfAChunkIsLeft) {
  ChunkedDecoder decoder;
  EXPECT_EQ(decoder.next("10\r\nabc").data, "abc");
  EXPECT_EQ(decoder.chunk_bytes_left(), 13u);
}

TEST(ChunkEncoding, WritesSizesThatAreReadBack) {
  for (std::uint64_t bytes : {std::uint64_t{1}, std::uint64_t{15}, std::uint64_t{16}, std::uint64_t{255}, std::uint64_t{0x1f40},
                              std::numeric_limits<std::uint64_t>::max()}) {
    char out[kChunkHeadBytesMax];
    const std::string text(out, write_chunk_head(out, bytes));
    ASSERT_TRUE(text.ends_with("\r\n"));
    EXPECT_EQ(std::stoull(text, nullptr, 16), bytes);
    EXPECT_NE(text[0], '0');
  }
}

TEST(ChunkEncoding, LastChunkCarriesOnlyTrailersThatMayStandThere) {
  HeaderMap trailers;
  trailers.add("grpc-status", "0");
  trailers.add("content-length", "5");
  trailers.add("x-sum", "7");
  std::string out(last_chunk_bytes_max(trailers), '\0');
  out.resize(write_last_chunk(out.data(), trailers));
  EXPECT_EQ(out, "0\r\ngrpc-status: 0\r\nx-sum: 7\r\n\r\n");
  const Outcome outcome = decode(out);
  EXPECT_EQ(outcome.last, ChunkedDecoder::Event::kDone);
  EXPECT_EQ(outcome.trailers, "grpc-status=0;x-sum=7;");
}

}  // namespace
}  // namespace lateen::http
