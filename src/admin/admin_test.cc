#include <gtest/gtest.h>

#include "admin/http.h"
#include "admin/json.h"
#include "admin/router.h"

namespace lateen::admin {
namespace {

class Sink : public Reply::Sink {
 public:
  void reply(std::uint64_t, Response response) override { answers.push_back(std::move(response)); }
  void hold_open(std::uint64_t, Response first, std::function<void()>) override { answers.push_back(std::move(first)); }
  std::vector<Response> answers;
};

Request request(std::string method, std::string_view target, std::string host = "127.0.0.1:15000", std::string origin = "") {
  Request made;
  made.method = std::move(method);
  made.host = std::move(host);
  made.origin = std::move(origin);
  EXPECT_TRUE(parse_target(target, made));
  return made;
}

struct Site {
  Site() {
    router.add_page("/page", "a page", [](const Request&, Reply reply) { reply(text_response("page")); });
    router.add_change("POST", "/change", "a change", [](const Request&, Reply reply) { reply(text_response("changed")); });
    router.add_change_below("DELETE", "/things/", "a thing", [](const Request& r, Reply reply) { reply(text_response(r.path)); });
  }
  Response ask(const Request& asked) {
    Sink sink;
    router.handle(asked, Reply(sink, 1));
    EXPECT_EQ(sink.answers.size(), 1u);
    return sink.answers.front();
  }
  Router router;
};

TEST(Target, IsSplitAndDecoded) {
  const Request asked = request("GET", "/a%20b?x=1&x=2&y=%2Fz+w&flag&off=false");
  EXPECT_EQ(asked.path, "/a b");
  EXPECT_EQ(asked.parameters("x"), (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(asked.parameter("y"), "/z w");
  EXPECT_TRUE(asked.flag("flag"));
  EXPECT_FALSE(asked.flag("off"));
  EXPECT_FALSE(asked.flag("none"));
  for (const char* bad : {"/%", "/%4", "/%zz", "/x?a=%g1"}) {
    Request into;
    EXPECT_FALSE(parse_target(bad, into)) << bad;
  }
}

TEST(Router, PagesAndMethods) {
  Site site;
  EXPECT_EQ(site.ask(request("GET", "/page")).body, "page");
  EXPECT_EQ(site.ask(request("HEAD", "/page")).status, 200);
  EXPECT_EQ(site.ask(request("POST", "/page")).status, 405);
  EXPECT_EQ(site.ask(request("GET", "/change")).status, 405);
  EXPECT_EQ(site.ask(request("GET", "/nothing")).status, 404);
  EXPECT_EQ(site.ask(request("DELETE", "/things/a/b")).body, "/things/a/b");
  EXPECT_EQ(site.ask(request("DELETE", "/things/")).status, 404);
}

TEST(Router, ChangesOnlyFromThisMachinesPrograms) {
  struct Case {
    const char* host;
    const char* origin;
    int status;
  };
  const Case cases[] = {
      {"127.0.0.1:15000", "", 200},
      {"localhost:15000", "", 200},
      {"127.9.9.9", "", 200},
      {"[::1]:15000", "", 200},
      {"mesh.example:15000", "", 403},
      {"10.0.0.1:15000", "", 403},
      {"127.evil.example", "", 403},
      {"localhost.evil.example", "", 403},
      {"", "", 403},
      {"127.0.0.1:15000", "http://evil.example", 403},
      {"127.0.0.1:15000", "null", 403},
      {"127.0.0.1:15000", "http://127.0.0.1:8080", 403},
      {"127.0.0.1:15000", "http://127.0.0.1:15000", 200},
  };
  Site site;
  for (const Case& one : cases)
    EXPECT_EQ(site.ask(request("POST", "/change", one.host, one.origin)).status, one.status) << one.host << " " << one.origin;
  EXPECT_EQ(site.ask(request("GET", "/page", "mesh.example")).status, 200);
}

TEST(Json, ResourceNamesAreKubectls) {
  EXPECT_EQ(resource_name(model::Kind::kVirtualService), "virtualservice.networking.istio.io");
  EXPECT_EQ(resource_name(model::Kind::kService), "service");
}

TEST(Json, TimesAreEnvoys) {
  EXPECT_EQ(format_time(WallTime(std::chrono::milliseconds(1'795'402'754'819))), "2026-11-23T02:59:14.819Z");
}

TEST(Json, ErrorsKeepTheirMessage) {
  const Response response = error_response(Error{ErrorCode::kConflict, "is in a \"file\"", {}});
  EXPECT_EQ(response.status, 409);
  EXPECT_EQ(response.body, "{\"error\":\"is in a \\\"file\\\"\"}\n");
}

}  // namespace
}  // namespace lateen::admin
