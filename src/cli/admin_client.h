// What the commands ask the running mesh, through its admin port.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/diagnostics.h"
#include "base/result.h"
#include "text/node.h"

namespace lateen::cli {

using Query = std::vector<std::pair<std::string, std::string>>;

class AdminClient {
 public:
  // `given`: the value of --admin; "": LATEEN_ADMIN, else 127.0.0.1:15000.
  explicit AdminClient(const std::string& given);

  // The body of a 2xx answer. Errors: kNotFound (no mesh there: says how to start one), kProtocol, kTimeout; for other
  // statuses the code that suits and the mesh's own message.
  Result<std::string> call(std::string_view method, std::string_view path, const Query& query = {}, std::string body = {}) const;
  Result<text::Node> call_json(std::string_view method, std::string_view path, const Query& query = {}, std::string body = {}) const;
  const std::string& address() const { return address_; }

 private:
  std::string address_;
};

std::string percent_encoded(std::string_view text);

// The mesh's JSON as values again.
std::vector<Diagnostic> read_diagnostics(const text::Node* list);

}  // namespace lateen::cli
