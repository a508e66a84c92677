#include "proxy/access_log.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <unistd.h>

#include "proxy/access_log_time.h"

namespace lateen::proxy {
namespace {

WallTime at_ms(std::int64_t milliseconds) { return WallTime(std::chrono::milliseconds(milliseconds)); }

// A record with everything in it; the texts live as long as this.
struct Filled {
  Filled() {
    request.method = "GET";
    request.path = "/reviews/1";
    request.authority = "reviews:9080";
    request.scheme = "http";
    request.headers.add("user-agent", "curl/7.88.1");
    request.headers.add("x-request-id", "6e1c");
    response.status = 200;
    response.headers.add("x-envoy-upstream-service-time", "3");
    record.request = &request;
    record.response = &response;
    record.started_wall = at_ms(1795402754819);
    record.duration = std::chrono::microseconds(12700);
    record.status = 200;
    record.details = "via_upstream";
    record.bytes_sent = 370;
    record.attempts = 1;
    record.cluster_name = "outbound|9080||reviews.default.svc.cluster.local";
    record.upstream_host = "10.1.2.3:9080";
    record.upstream_local_address = "10.1.2.3:58834";
    record.downstream_local_address = "10.96.0.2:9080";
    record.downstream_remote_address = "[::1]:46998";
    static const SharedText kRouteName = "default";
    record.route_name = &kRouteName;
  }
  http::RequestHead request;
  http::ResponseHead response;
  RequestRecord record;
};

std::string line(const RequestRecord& record, std::string_view format) {
  const Result<AccessLogFormat> compiled = AccessLogFormat::compile(format);
  EXPECT_TRUE(compiled) << to_string(compiled.error());
  std::string text;
  if (compiled) compiled->append(text, record);
  return text;
}

TEST(AccessLogFormat, IstiosDefaultLine) {
  Filled filled;
  filled.record.downstream_remote_address = "10.96.0.2:46998";
  EXPECT_EQ(line(filled.record, ""),
            "[2026-11-23T02:59:14.819Z] \"GET /reviews/1 HTTP/1.1\" 200 - via_upstream - \"-\" 0 370 12 3 \"-\" "
            "\"curl/7.88.1\" \"6e1c\" \"reviews:9080\" \"10.1.2.3:9080\" outbound|9080||reviews.default.svc.cluster.local "
            "10.1.2.3:58834 10.96.0.2:9080 10.96.0.2:46998 - default\n");
}

TEST(AccessLogFormat, ARecordOfNothingIsDashes) {
  EXPECT_EQ(line(RequestRecord{}, "%REQ(:METHOD)% %PROTOCOL% %RESPONSE_CODE% %RESP(X)% %UPSTREAM_HOST% %ROUTE_NAME%"), "- - 0 - - -");
}

TEST(AccessLogFormat, Operators) {
  Filled filled;
  filled.record.flags = kUpstreamRequestTimeout | kDelayInjected;
  filled.record.details = "upstream response timeout";
  filled.record.grpc_status = 14;
  filled.record.upstream_service_time = std::chrono::milliseconds(7);
  filled.request.headers.add("x-envoy-original-path", "/old");
  http::HeaderMap trailers;
  trailers.add("grpc-message", "no");
  filled.record.response_trailers = &trailers;
  const std::pair<const char*, const char*> cases[] = {
      {"%RESPONSE_FLAGS%", "DI,UT"},
      {"%RESPONSE_CODE_DETAILS%", "upstream_response_timeout"},
      {"%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%", "/old"},
      {"%REQ(X-NONE?:AUTHORITY)%", "reviews:9080"},
      {"%REQ(USER-AGENT):4%", "curl"},
      {"%REQ(:SCHEME)%", "http"},
      {"%TRAILER(Grpc-Message)%", "no"},
      {"%GRPC_STATUS% %GRPC_STATUS_NUMBER%", "Unavailable 14"},
      {"%UPSTREAM_SERVICE_TIME%", "7"},
      {"%UPSTREAM_REQUEST_ATTEMPT_COUNT%", "1"},
      {"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_REMOTE_PORT%", "[::1] 46998"},
      {"%DOWNSTREAM_LOCAL_PORT%", "9080"},
      {"100%% %START_TIME(%Y/%m/%d %T %s %3f %%)%", "100% 2026/11/23 02:59:14 1795402754 819 %"},
      {"%DOWNSTREAM_TLS_VERSION%", "-"},
      {"no operator", "no operator"},
  };
  for (const auto& [format, wanted] : cases) EXPECT_EQ(line(filled.record, format), wanted) << format;
}

TEST(AccessLogFormat, NoValueCanBreakALineOrAQuotedField) {
  Filled filled;
  filled.request.headers.set("user-agent", "a\"b\\c\td\x7f\xe9");
  filled.request.path = "/x\ny";
  EXPECT_EQ(line(filled.record, "\"%REQ(User-Agent)%\" %REQ(:PATH)%"), "\"a\\x22b\\x5Cc\\x09d\\x7F\xe9\" /x\\x0Ay");
}

TEST(AccessLogFormat, RefusesWhatItDoesNotKnowAndNamesIt) {
  const std::pair<const char*, const char*> cases[] = {
      {"%NO_SUCH_THING%", "NO_SUCH_THING"},
      {"%DYNAMIC_METADATA(a:b)%", "DYNAMIC_METADATA"},
      {"%REQ%", "name of a header"},
      {"%REQ()%", "name of a header"},
      {"%REQ(X?)%", "name of a header"},
      {"%REQ(:STATUS)%", ":status"},
      {"%RESP(:PATH)%", ":path"},
      {"%REQ(X", "\")\" is missing"},
      {"%REQ(X)", "closing"},
      {"%REQ(X):%", "length"},
      {"%REQ(X):0%", "length"},
      {"%PROTOCOL(X)%", "takes no argument"},
      {"50% of", "%%"},
      {"%", "%%"},
      {"%START_TIME(%q)%", "%q"},
  };
  for (const auto& [format, why] : cases) {
    const Result<AccessLogFormat> compiled = AccessLogFormat::compile(format);
    ASSERT_FALSE(compiled) << format;
    EXPECT_NE(compiled.error().message.find(why), std::string::npos) << format << ": " << compiled.error().message;
  }
}

TEST(AppendTime, WritesFractionsAndTheEpoch) {
  const auto text = [](std::string_view format, WallTime time) {
    std::string out;
    append_time(out, format, time);
    return out;
  };
  const WallTime time(std::chrono::nanoseconds(1'234'567'891));
  EXPECT_EQ(text("%s.%f", time), "1.234567891");
  EXPECT_EQ(text("%1f %6f %E2S", time), "2 234567 01.23");
  EXPECT_EQ(text("%FT%T", at_ms(-1)), "1969-12-31T23:59:59");
}

std::string content(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

TEST(AccessLog, GathersAndWritesAtFlush) {
  const std::string path = testing::TempDir() + "lateen_access_log_test.log";
  std::remove(path.c_str());
  auto log = AccessLog::open(path, 2, nullptr);
  ASSERT_TRUE(log) << to_string(log.error());
  const AccessLogFormat format = *AccessLogFormat::compile("%REQ(:PATH)%\n");
  Filled filled;
  (*log)->worker(0).record(format, filled.record);
  (*log)->worker(1).record(format, filled.record);
  EXPECT_EQ(content(path), "");
  (*log)->flush();
  EXPECT_EQ(content(path), "/reviews/1\n/reviews/1\n");
  (*log)->flush();
  EXPECT_EQ(content(path), "/reviews/1\n/reviews/1\n");
  EXPECT_EQ((*log)->dropped(), 0u);
  std::remove(path.c_str());
}

TEST(AccessLog, APathThatCannotBeOpenedIsAnError) {
  const auto log = AccessLog::open("/nonexistent/folder/log", 1, nullptr);
  ASSERT_FALSE(log);
  EXPECT_NE(log.error().message.find("/nonexistent/folder/log"), std::string::npos);
}

TEST(WorkerAccessLog, AFullBufferDropsAndCountsAndWakesOnce) {
  int woken = 0;
  WorkerAccessLog log([&] { ++woken; });
  const AccessLogFormat format = *AccessLogFormat::compile("%REQ(X)%\n");
  Filled filled;
  filled.request.headers.add("x", std::string(1023, 'x'));
  for (int i = 0; i < 1030; ++i) log.record(format, filled.record);
  EXPECT_EQ(log.dropped(), 6u);
  EXPECT_EQ(woken, 1);
  std::string text;
  log.take(text);
  EXPECT_EQ(text.size(), kAccessLogBufferBytesMax);
  log.record(format, filled.record);
  EXPECT_EQ(log.dropped(), 6u);
  EXPECT_EQ(woken, 1);
}

TEST(WorkerAccessLog, LosesNothingWhileAnotherThreadTakes) {
  WorkerAccessLog log(nullptr);
  const AccessLogFormat format = *AccessLogFormat::compile("%REQ(:PATH)%\n");
  std::thread writer([&] {
    Filled filled;
    for (int i = 0; i < 20000; ++i) log.record(format, filled.record);
  });
  std::string text;
  while (text.size() < 20000 * 11) log.take(text);
  writer.join();
  EXPECT_EQ(text.size(), 20000u * 11);
  EXPECT_EQ(log.dropped(), 0u);
}

TEST(AccessLogFile, NeverWaitsForTheReaderOfAPipe) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  {
    AccessLogFile file = AccessLogFile::over(ends[1]);
    const std::string thousand = std::string(999, 'x') + "\n";
    // Nobody reads: more than the pipe and the file's own bound can hold.
    for (int i = 0; i < 10000; ++i) file.write(thousand);
    EXPECT_GT(file.dropped(), 500u);
    EXPECT_LT(file.dropped(), 10000u);
    ASSERT_EQ(::fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    std::size_t read_bytes = 0;
    std::string buffer(65536, '\0');
    for (int i = 0; i < 1000; ++i) {
      ssize_t bytes = 0;
      while ((bytes = ::read(ends[0], buffer.data(), buffer.size())) > 0) read_bytes += static_cast<std::size_t>(bytes);
      file.write("");
    }
    // Everything but the dropped lines arrives, whole.
    EXPECT_EQ(read_bytes, (10000 - file.dropped()) * 1000);
  }
  ::close(ends[0]);
}

}  // namespace
}  // namespace lateen::proxy
