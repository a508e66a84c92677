// What the analyzers share: the mesh with its hosts looked up, and the list that they write into. One analyzer a file.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "analyze/codes.h"
#include "base/diagnostics.h"
#include "model/mesh.h"
#include "translate/registry.h"
#include "translate/translate.h"

namespace lateen::analyze {

class Findings {
 public:
  Findings(const model::Mesh& mesh, translate::Compat compat);

  const model::Mesh& mesh() const { return mesh_; }
  bool as_istio() const { return compat_ == translate::Compat::kIstio; }

  // Whether the mesh has any service at all. Without one, files of rules are looked at alone, and hosts cannot be judged.
  bool has_services() const { return !hosts_.empty() || !wildcards_.empty(); }
  // Of a host name as an object wrote it; null: no service has it.
  const translate::Service* service(std::string_view host, const model::Object& written_in) const;
  // "reviews" in default -> "reviews.default.svc.cluster.local".
  std::string full(std::string_view host, const model::Object& written_in) const;
  // "reviews" for "reviews.default.svc.cluster.local": what `lateen echo --service` takes. Other hosts stay whole.
  std::string short_name(std::string_view full_host) const;
  // What to do about a host that no service has: "did you mean ratings?", or how to make one.
  std::string host_fix(std::string_view host) const;

  struct Rule {
    const model::Object* object;
    const model::DestinationRule* rule;
  };
  // DestinationRules for this full host, wildcards included, oldest first.
  std::vector<Rule> rules_for(std::string_view full_host) const;

  template <class T>
  std::vector<std::pair<const model::Object*, const T*>> all(model::Kind kind) const {
    return mesh_.all<T>(kind);
  }

  void add(Finding finding, const model::Object& object, const std::string& field, std::initializer_list<std::string> arguments);
  void add(Finding finding, Severity level, const model::Object& object, const std::string& field, std::initializer_list<std::string> arguments);
  // About no single object.
  void add(Finding finding, std::initializer_list<std::string> arguments);
  std::vector<Diagnostic> take();

 private:
  const model::Mesh& mesh_;
  translate::Compat compat_;
  translate::Registry registry_;
  std::map<std::string, const translate::Service*, std::less<>> hosts_;
  std::vector<const translate::Service*> wildcards_;
  std::vector<Rule> rules_;
  std::vector<Diagnostic> found_;
};

// The endpoints of a service that have these labels (null: all), counted at the port that has most.
std::size_t endpoint_count(const translate::Service& service, const translate::Labels* labels);
// "1 endpoint", "3 endpoints".
std::string count_text(std::size_t count, std::string_view noun);
// "spec.http[2]".
std::string item(std::string_view list, std::size_t index);
// "the rule of line 12 (f.yaml:12:5)"; "spec.http[0]" where the line is not known.
std::string place_text(const model::Object& object, const std::string& field);
// "VirtualService default/a (f.yaml:3:7)".
std::string object_text(const model::Object& object, const std::string& field);
// "62.5", "100".
std::string number_text(double value);
// "80, 443".
std::string ports_text(const translate::Service& service);

void find_weights(Findings& findings);
void find_references(Findings& findings);
void find_unreachable(Findings& findings);
void find_owners(Findings& findings);
void find_match_slips(Findings& findings);
void find_timeouts(Findings& findings);
void find_faults(Findings& findings);
void find_ejections(Findings& findings);
void find_policies(Findings& findings);
void find_gateways(Findings& findings);
void find_entries(Findings& findings);
void find_secrets(Findings& findings);
bool asks_for_secrets(const model::Mesh& mesh);

}  // namespace lateen::analyze
