// gRPC-Web, as observed of Envoy 1.40.
#include "proxy/grpc_web.h"

#include <gtest/gtest.h>

namespace lateen::proxy {
namespace {

http::RequestHead request(std::string_view type, std::string_view accept = "*/*") {
  http::RequestHead head;
  head.method = "POST";
  head.headers.add("content-type", type);
  head.headers.add("accept", accept);
  head.headers.add("content-length", "12");
  return head;
}

stream::Buffer buffer(std::string_view text) {
  stream::Buffer out;
  out.append_copy(text);
  return out;
}

const std::string kFrame("\0\0\0\0\2hi", 7);

TEST(GrpcWeb, OnlyItsOwnContentTypes) {
  for (const char* type : {"application/grpc", "application/grpc+proto", "text/plain", "application/grpc-web-other", ""}) {
    http::RequestHead head = request(type);
    EXPECT_EQ(GrpcWeb::begin(head), nullptr) << type;
    EXPECT_EQ(head.headers.get("content-type"), type);
    EXPECT_TRUE(head.headers.get("content-length"));
  }
  for (const char* type : {"application/grpc-web", "application/grpc-web+proto", "application/grpc-web-text", "application/grpc-web-text+proto"}) {
    http::RequestHead head = request(type);
    ASSERT_NE(GrpcWeb::begin(head), nullptr) << type;
    EXPECT_EQ(head.headers.get("content-type"), "application/grpc");
    EXPECT_EQ(head.headers.get("te"), "trailers");
    EXPECT_EQ(head.headers.get("grpc-accept-encoding"), "identity");
    EXPECT_FALSE(head.headers.get("content-length"));
  }
}

TEST(GrpcWeb, TrailersAreTheLastFrame) {
  http::RequestHead head = request("application/grpc-web");
  const auto web = GrpcWeb::begin(head);
  http::ResponseHead response;
  response.status = 200;
  response.headers.add("content-type", "application/grpc");
  web->translate_head(response);
  EXPECT_EQ(response.headers.get("content-type"), "application/grpc-web+proto");
  EXPECT_EQ(web->encode(buffer(kFrame), false).to_string(), kFrame);
  http::HeaderMap trailers;
  trailers.add("grpc-status", "0");
  trailers.add("x-t", "1");
  EXPECT_EQ(web->encode_trailers(trailers).to_string(), std::string("\x80\0\0\0\x16", 5) + "grpc-status:0\r\nx-t:1\r\n");
}

// However the bytes are cut.
TEST(GrpcWeb, TextIsDecodedAndEncodedAcrossPieces) {
  const std::string text = "AAAAAAJoaQ==AAAAAAJoaQ==";   // two frames, each with its padding
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    http::RequestHead head = request("application/grpc-web-text", "application/grpc-web-text");
    const auto web = GrpcWeb::begin(head);
    stream::Buffer first = buffer(text.substr(0, cut)), second = buffer(text.substr(cut));
    ASSERT_TRUE(web->decode(first, false));
    ASSERT_TRUE(web->decode(second, true));
    EXPECT_EQ(first.to_string() + second.to_string(), kFrame + kFrame) << cut;
  }
  for (std::size_t cut = 0; cut <= kFrame.size(); ++cut) {
    http::RequestHead head = request("application/grpc-web-text", "application/grpc-web-text");
    const auto web = GrpcWeb::begin(head);
    std::string out = web->encode(buffer(kFrame.substr(0, cut)), false).to_string();
    out += web->encode(buffer(kFrame.substr(cut)), true).to_string();
    EXPECT_EQ(out, "AAAAAAJoaQ==") << cut;
  }
}

TEST(GrpcWeb, WhatIsNoBase64IsRefused) {
  for (const char* text : {"AAA*", "=AAA", "A===", "AA=A", "AAAAA", "AA"}) {
    http::RequestHead head = request("application/grpc-web-text");
    const auto web = GrpcWeb::begin(head);
    stream::Buffer data = buffer(text);
    EXPECT_FALSE(web->decode(data, true)) << text;
  }
}

TEST(GrpcWeb, AResponseThatIsNoGrpcBecomesAnError) {
  http::RequestHead head = request("application/grpc-web");
  const auto web = GrpcWeb::begin(head);
  http::ResponseHead response;
  response.status = 503;
  response.headers.add("content-type", "text/html");
  response.headers.add("content-length", "9");
  web->translate_head(response);
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.headers.get("grpc-status"), "14");
  EXPECT_EQ(response.headers.get("content-type"), "application/grpc-web+proto");
  EXPECT_TRUE(web->encode(buffer("an error."), true).empty());
  EXPECT_EQ(web->credit(0), 9U);
}

// A slow client slows the upstream down, whatever the encoding makes of the lengths.
TEST(GrpcWeb, CreditIsInProportionAndComplete) {
  http::RequestHead head = request("application/grpc-web-text", "application/grpc-web-text");
  const auto web = GrpcWeb::begin(head);
  const std::size_t encoded = web->encode(buffer(std::string(3000, 'x')), false).size();
  EXPECT_EQ(encoded, 4000U);
  EXPECT_EQ(web->credit(2000), 1500U);
  EXPECT_EQ(web->credit(1999), 1499U);
  EXPECT_EQ(web->credit(1), 1U);
}

}  // namespace
}  // namespace lateen::proxy
