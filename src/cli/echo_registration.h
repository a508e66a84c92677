// Keeps a workload registered with the mesh: again when the mesh comes back.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "cli/registration.h"
#include "net/loop.h"
#include "stream/http_client.h"

namespace lateen::cli {

class EchoRegistration {
 public:
  // `on_refused` is called when the mesh answers that it will not have the workload. `loop` must outlive the object.
  EchoRegistration(net::Loop& loop, net::Address admin, Registration registration, std::function<void(const std::string& why)> on_refused);

  // Empty until the mesh has answered.
  const RegistrationAnswer& answer() const { return answer_; }

  static constexpr Duration kAgainAfter = std::chrono::milliseconds(250);

 private:
  void register_now();
  void on_head(const stream::HttpCallResponse& head);
  void on_piece(std::string_view piece);
  void on_done(const Result<void>& result);

  net::Loop& loop_;
  const net::Address admin_;
  const Registration registration_;
  const std::function<void(const std::string&)> on_refused_;
  std::unique_ptr<stream::HttpCall> call_;
  int status_ = 0;             // of the current call; 0: no head yet
  std::string body_;           // of the current call, at most kRegistrationBytesMax
  RegistrationAnswer answer_;
  bool said_that_mesh_is_away_ = false;
  net::Timer again_;
};

}  // namespace lateen::cli
