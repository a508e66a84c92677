// The hot path allocates nothing once it has grown: reading, moving and writing heads, decoding chunks.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#include "http/chunked.h"
#include "http/h1_parser.h"
#include "http/h1_writer.h"

namespace {
std::size_t allocations = 0;   // of this binary, which has one thread
}

// Taken from and given back to malloc on both sides; the compiler sees one side at a time where it inlines.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  std::abort();
}
void* operator new[](std::size_t bytes) { return operator new(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { operator delete(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { operator delete(memory); }

namespace lateen::http {
namespace {

constexpr std::string_view kRequest =
    "POST /reviews/1?x=1 HTTP/1.1\r\nHost: reviews:9080\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\nX-Other: 1\r\n"
    "Cookie: session=0123456789abcdef; user=jason\r\nTransfer-Encoding: chunked\r\n\r\n";
constexpr std::string_view kResponse = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n";
constexpr std::string_view kBody = "5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n";

struct Exchange {
  RequestParser request_parser;
  ResponseParser response_parser;
  ChunkedDecoder decoder;
  char region[4096];
  char out[4096];

  // One request and its response through a proxy; the head is moved on, as connections do.
  void run() {
    std::memcpy(region, kRequest.data(), kRequest.size());
    request_parser.reset();
    ASSERT_EQ(request_parser.parse(region, kRequest.size()), ParseState::kComplete);
    RequestHead head = std::move(request_parser.head());
    head.headers.set(HeaderId::kXRequestId, "6e1cde71-aaaa-4bbb-8ccc-123456789012");
    head.headers.add("x-forwarded-proto", "http");
    write_head(out, head, frame_request(head, true));
    decoder.reset();
    std::size_t used = 0;
    while (!decoder.done()) used += decoder.next(kBody.substr(used)).used;
    std::memcpy(region, kResponse.data(), kResponse.size());
    response_parser.reset(head.method);
    ASSERT_EQ(response_parser.parse(region, kResponse.size()), ParseState::kComplete);
    ResponseHead answer = std::move(response_parser.head());
    answer.headers.set(HeaderId::kServer, "envoy");
    write_head(out, answer, frame_response(answer, {.method = "POST"}, true));
  }
};

TEST(Allocations, ThereAreNoneInSteadyState) {
  Exchange exchange;
  for (int i = 0; i < 10; ++i) exchange.run();
  const std::size_t before = allocations;
  for (int i = 0; i < 100; ++i) exchange.run();
  EXPECT_EQ(allocations - before, 0u);
}

}  // namespace
}  // namespace lateen::http
