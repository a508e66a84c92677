#include "cli/echo_registration.h"

#include <cstdio>

namespace lateen::cli {

EchoRegistration::EchoRegistration(net::Loop& loop, net::Address admin, Registration registration,
                                   std::function<void(const std::string&)> on_refused)
    : loop_(loop), admin_(std::move(admin)), registration_(std::move(registration)), on_refused_(std::move(on_refused)) {
  register_now();
}

void EchoRegistration::register_now() {
  status_ = 0;
  body_.clear();
  stream::HttpCallRequest request;
  request.method = "POST";
  request.path = "/lateen/register";
  request.headers = {{"content-type", "application/json"}};
  request.body = to_json(registration_);
  request.idle_timeout = Duration::zero();  // the answer stays open for as long as we are registered
  call_ = stream::start_http_call(loop_, admin_, std::move(request),
                                  {.on_head = [this](const stream::HttpCallResponse& head) { on_head(head); },
                                   .on_body = [this](std::string_view piece) { on_piece(piece); },
                                   .on_done = [this](const Result<void>& result) { on_done(result); }});
}

void EchoRegistration::on_head(const stream::HttpCallResponse& head) { status_ = head.status; }

void EchoRegistration::on_piece(std::string_view piece) {
  body_ += piece.substr(0, kRegistrationBytesMax - std::min(kRegistrationBytesMax, body_.size()));
  const auto end = body_.find('\n');
  if (status_ != 200 || end == std::string::npos || !answer_.name.empty()) return;
  auto answer = parse_registration_answer(std::string_view(body_).substr(0, end));
  if (!answer) return;  // a mesh of another version: we are registered all the same
  answer_ = std::move(*answer);
  const std::string serves = registration_.service + "." + registration_.namespace_ + ":" + std::to_string(registration_.service_port);
  std::printf("%s: serves %s at %s:%u\n", answer_.name.c_str(), serves.c_str(), registration_.address.c_str(), unsigned{registration_.port});
  std::fflush(stdout);
  said_that_mesh_is_away_ = false;
}

void EchoRegistration::on_done(const Result<void>& result) {
  const bool is_refused = status_ >= 400 && status_ < 500;
  if (is_refused) return on_refused_(body_.empty() ? "status " + std::to_string(status_) : body_);
  if (!said_that_mesh_is_away_) {
    const std::string why = !result && status_ == 0 ? " (" + result.error().message + ")" : "";
    std::fprintf(stderr, "lateen echo: no mesh at %s%s; registers when it is there\n", to_string(admin_).c_str(), why.c_str());
    said_that_mesh_is_away_ = true;
  }
  answer_ = {};
  loop_.arm<&EchoRegistration::register_now>(again_, kAgainAfter, this);
}

}  // namespace lateen::cli
