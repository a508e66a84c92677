#include "translate/stat_prefix.h"

#include <utility>

namespace lateen::translate {
namespace {

void replace_all(std::string& text, std::string_view word, std::string_view by) {
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + by.size()))
    text.replace(at, word.size(), by);
}

}  // namespace

std::string stat_prefix(std::string_view pattern, const Service& service, std::string_view subset, const Port& port,
                        std::uint32_t target) {
  std::string out(pattern);
  replace_all(out, "%SERVICE%", service.kubernetes ? service.name + "." + service.namespace_ : service.host);
  replace_all(out, "%SERVICE_NAME%", service.kubernetes ? service.name : service.host);
  replace_all(out, "%SERVICE_FQDN%", service.host);
  replace_all(out, "%SUBSET_NAME%", subset);
  replace_all(out, "%TARGET_PORT%", std::to_string(target));
  replace_all(out, "%SERVICE_PORT%", std::to_string(port.number));
  replace_all(out, "%SERVICE_PORT_NAME%", port.name);
  return out;
}

}  // namespace lateen::translate
