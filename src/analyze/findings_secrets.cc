// Secrets that TLS asks for by credentialName, and that are not there or are no good.
#include <algorithm>
#include <set>

#include "analyze/findings.h"
#include "analyze/tls_material.h"
#include "model/gateway_workload.h"
#include "translate/secrets.h"

namespace lateen::analyze {

namespace {

using translate::Credential;

// What a field asks for.
enum class Asked { kCertificate, kAuthorities };

struct Question {
  const model::Object& object;
  std::string field, name, namespace_;
  Asked asked;
  std::string refused;   // "TLS connections to a.example are refused"
};

constexpr std::string_view kOwnScheme = "kubernetes://";

std::string keys_text(Asked asked) { return asked == Asked::kCertificate ? "tls.crt and tls.key" : "ca.crt"; }

class SecretFindings {
 public:
  explicit SecretFindings(Findings& findings) : findings_(findings) {
    for (const auto& [object, gateway] : findings.all<model::Gateway>(model::Kind::kGateway))
      namespaces_.insert(model::workload_namespace(*gateway, object->meta.namespace_, findings.mesh().config.root_namespace));
  }

  void look_at(const model::Object& object, const model::Gateway& gateway) {
    const std::string& where = model::workload_namespace(gateway, object.meta.namespace_, findings_.mesh().config.root_namespace);
    for (std::size_t i = 0; i < gateway.servers.size(); ++i) {
      const model::GatewayServer& server = gateway.servers[i];
      if (server.tls) look_at(object, *server.tls, item("spec.servers", i) + ".tls.", where, server.hosts);
    }
  }

  void look_at(const model::Object& object, const model::DestinationRule& rule) {
    if (rule.traffic_policy) look_at(object, *rule.traffic_policy, "spec.trafficPolicy.", rule.host);
    for (std::size_t i = 0; i < rule.subsets.size(); ++i)
      if (rule.subsets[i].traffic_policy) look_at(object, *rule.subsets[i].traffic_policy, item("spec.subsets", i) + ".trafficPolicy.", rule.host);
  }

 private:
  void look_at(const model::Object& object, const model::ServerTls& tls, const std::string& path, const std::string& where,
               const std::vector<std::string>& hosts) {
    const bool asks_clients = tls.mode == "MUTUAL" || tls.mode == "OPTIONAL_MUTUAL";
    if (tls.mode != "SIMPLE" && !asks_clients) return;
    const std::string host = hosts.empty() ? std::string("*") : hosts.front().substr(hosts.front().find('/') + 1);
    const std::string refused = "TLS connections to " + host + (hosts.size() > 1 ? " and the server's other hosts" : "") + " are refused";
    std::vector<std::pair<std::string, std::string>> names;
    for (std::size_t i = 0; i < tls.credential_names.size(); ++i) names.emplace_back(item("credentialNames", i), tls.credential_names[i]);
    if (names.empty() && !tls.credential_name.empty()) names.emplace_back("credentialName", tls.credential_name);
    bool good = !names.empty();
    for (const auto& [field, name] : names) good = check({object, path + field, name, where, Asked::kCertificate, refused}) && good;
    if (!asks_clients || !good) return;
    if (tls.ca_cert_credential_name.empty()) check({object, path + names.front().first, names.front().second, where, Asked::kAuthorities, refused});
    else check({object, path + "caCertCredentialName", tls.ca_cert_credential_name, where, Asked::kAuthorities, refused});
  }

  void look_at(const model::Object& object, const model::TrafficPolicy& policy, const std::string& path, const std::string& host) {
    if (policy.tls) look_at(object, *policy.tls, path + "tls.", host);
    for (std::size_t i = 0; i < policy.port_level_settings.size(); ++i)
      if (policy.port_level_settings[i].tls) look_at(object, *policy.port_level_settings[i].tls, path + item("portLevelSettings", i) + ".tls.", host);
  }

  // Workloads get no Secret by a rule for all of them (istiod); gateways read it in their own namespace.
  void look_at(const model::Object& object, const model::ClientTls& tls, const std::string& path, const std::string& host) {
    using Mode = model::ClientTls::Mode;
    if (tls.credential_name.empty() || (tls.mode != Mode::kSimple && tls.mode != Mode::kMutual)) return;
    findings_.add(Finding::kCredentialForGateways, object, path + "credentialName", {tls.credential_name, host});
    const std::string refused = "requests of gateways to " + host + " are answered 503";
    for (const std::string& where : namespaces_) {
      const bool good = (tls.mode != Mode::kMutual || check({object, path + "credentialName", tls.credential_name, where, Asked::kCertificate, refused})) &&
                        (tls.insecure_skip_verify.value_or(false) ||
                         check({object, path + "credentialName", tls.credential_name, where, Asked::kAuthorities, refused}));
      if (!good) return;
    }
  }

  // False: something was found.
  bool check(const Question& question) {
    std::string_view name = question.name;
    if (name.starts_with(kOwnScheme)) name.remove_prefix(kOwnScheme.size());
    if (const auto scheme = name.find("://"); scheme != std::string_view::npos) return other_source(question, name.substr(0, scheme));
    const Credential found = question.asked == Asked::kCertificate ? translate::find_credential(findings_.mesh(), question.namespace_, name)
                                                                   : translate::find_authorities(findings_.mesh(), question.namespace_, name);
    if (found.object == nullptr) return missing(question, name);
    return question.asked == Asked::kCertificate ? check_certificate(question, found) : check_authorities(question, found);
  }

  bool other_source(const Question& question, std::string_view scheme) {
    if (scheme == "builtin") return true;
    findings_.add(Finding::kNoSecret, question.object, question.field,
                  {"nothing here serves " + question.name, question.refused,
                   "write " + keys_text(question.asked) + " into a Secret of namespace " + question.namespace_ + ", and its name here"});
    return false;
  }

  bool missing(const Question& question, std::string_view name) {
    const std::string elsewhere = namespace_of_another(name, question.namespace_);
    const std::string what = "there is no Secret " + std::string(name) + " in namespace " + question.namespace_;
    std::string fix = "write a Secret " + std::string(name) + " with " + keys_text(question.asked) + " in namespace " + question.namespace_;
    if (!elsewhere.empty())
      fix = "there is one in namespace " + elsewhere + ", but a gateway reads those of its own namespace alone: move it to " + question.namespace_;
    // Among a few files the Secret may be missing on purpose: its place is not in a repository.
    const bool alone = !findings_.has_services() && findings_.all<model::Secret>(model::Kind::kSecret).empty();
    findings_.add(Finding::kNoSecret, alone ? Severity::kWarning : Severity::kError, question.object, question.field, {what, question.refused, fix});
    return false;
  }

  bool check_certificate(const Question& question, const Credential& found) {
    if (found.certificate == nullptr) return without(question, found, "tls.crt");
    if (found.private_key == nullptr) return without(question, found, "tls.key");
    return tell(question, found, certificate_fault({"tls.crt", *found.certificate, "tls.key", *found.private_key}));
  }

  bool check_authorities(const Question& question, const Credential& found) {
    if (found.authorities == nullptr) return without(question, found, "ca.crt");
    return tell(question, found, authorities_fault("ca.crt", *found.authorities, found.revoked == nullptr ? std::string_view() : *found.revoked));
  }

  bool without(const Question& question, const Credential& found, const std::string& key) {
    return tell(question, found, TlsFault{"it has no key " + key, "write " + key + " under its stringData"});
  }

  bool tell(const Question& question, const Credential& found, const std::optional<TlsFault>& fault) {
    if (!fault) return true;
    findings_.add(Finding::kBadSecret, question.object, question.field,
                        {object_text(*found.object, "metadata.name"), fault->what, question.refused, fault->fix});
    return false;
  }

  std::string namespace_of_another(std::string_view name, const std::string& namespace_) const {
    for (const auto& [object, secret] : findings_.all<model::Secret>(model::Kind::kSecret))
      if (object->meta.name == name && object->meta.namespace_ != namespace_) return object->meta.namespace_;
    return {};
  }

  Findings& findings_;
  std::set<std::string> namespaces_;   // of gateways
};

}  // namespace

bool asks_for_secrets(const model::Mesh& mesh) {
  const auto server_asks = [](const model::GatewayServer& server) {
    return server.tls && !(server.tls->credential_name.empty() && server.tls->credential_names.empty());
  };
  const auto blocks_ask = [](const model::PolicyBlocks& blocks) { return blocks.tls && !blocks.tls->credential_name.empty(); };
  const auto policy_asks = [&](const std::optional<model::TrafficPolicy>& policy) {
    return policy && (blocks_ask(*policy) || std::any_of(policy->port_level_settings.begin(), policy->port_level_settings.end(), blocks_ask));
  };
  for (const auto& [object, gateway] : mesh.all<model::Gateway>(model::Kind::kGateway))
    if (std::any_of(gateway->servers.begin(), gateway->servers.end(), server_asks)) return true;
  for (const auto& [object, rule] : mesh.all<model::DestinationRule>(model::Kind::kDestinationRule))
    if (policy_asks(rule->traffic_policy) ||
        std::any_of(rule->subsets.begin(), rule->subsets.end(), [&](const auto& subset) { return policy_asks(subset.traffic_policy); }))
      return true;
  return false;
}

void find_secrets(Findings& findings) {
  SecretFindings secrets(findings);
  for (const auto& [object, gateway] : findings.all<model::Gateway>(model::Kind::kGateway)) secrets.look_at(*object, *gateway);
  for (const auto& [object, rule] : findings.all<model::DestinationRule>(model::Kind::kDestinationRule)) secrets.look_at(*object, *rule);
}

}  // namespace lateen::analyze
