#include "proxy/tls_contexts.h"

#include <algorithm>
#include <optional>

#include "proxy/base64.h"

namespace lateen::proxy {
namespace {

constexpr std::size_t kSha256Bytes = 32;

std::optional<std::string> decode_hex(std::string_view text) {
  std::string out;
  if (text.size() % 2 != 0) return std::nullopt;
  const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; };
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = digit(text[i]), low = digit(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
  }
  return out;
}

stream::TlsProtocolVersion version_of(runtime::TlsVersion version) {
  switch (version) {
    case runtime::TlsVersion::kAuto: return stream::TlsProtocolVersion::kAuto;
    case runtime::TlsVersion::kTls10: return stream::TlsProtocolVersion::kTls10;
    case runtime::TlsVersion::kTls11: return stream::TlsProtocolVersion::kTls11;
    case runtime::TlsVersion::kTls12: return stream::TlsProtocolVersion::kTls12;
    case runtime::TlsVersion::kTls13: return stream::TlsProtocolVersion::kTls13;
  }
  return stream::TlsProtocolVersion::kAuto;
}

stream::TlsName::Kind kind_of(runtime::SubjectAltName::Kind kind) {
  switch (kind) {
    case runtime::SubjectAltName::Kind::kAny: return stream::TlsName::Kind::kAny;
    case runtime::SubjectAltName::Kind::kDns: return stream::TlsName::Kind::kDns;
    case runtime::SubjectAltName::Kind::kUri: return stream::TlsName::Kind::kUri;
    case runtime::SubjectAltName::Kind::kEmail: return stream::TlsName::Kind::kEmail;
    case runtime::SubjectAltName::Kind::kIp: return stream::TlsName::Kind::kIp;
  }
  return stream::TlsName::Kind::kAny;
}

stream::TlsName name_of(const runtime::SubjectAltName& wanted) {
  stream::TlsName name;
  name.kind = kind_of(wanted.kind);
  if (wanted.name.kind == runtime::StringMatcher::Kind::kExact && !wanted.name.ignore_case && !wanted.name.text.empty()) {
    name.exact = wanted.name.text;
  } else {
    const auto matcher = std::make_shared<const runtime::StringMatcher>(wanted.name);
    name.matches = [matcher](std::string_view text) { return matcher->matches(text); };
  }
  return name;
}

// Everything that makes a context what it is, each part with its length in front.
class Key {
 public:
  void add(std::string_view text) { text_ += std::to_string(text.size()) + ':' + std::string(text); }
  void add(const std::vector<std::string>& texts) {
    text_ += std::to_string(texts.size()) + '[';
    for (const std::string& text : texts) add(text);
  }
  void add(std::uint64_t number) { add(std::string_view(std::to_string(number))); }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

void add_names(Key& key, const std::optional<runtime::TlsValidation>& validation) {
  if (!validation) return;
  for (const runtime::SubjectAltName& name : validation->names) {
    key.add(static_cast<std::uint64_t>(name.kind));
    key.add(name.name.describe());
    key.add(name.name.ignore_case ? 1U : 0U);
  }
}

std::string key_of(std::string_view kind, const stream::TlsSettings& settings, const runtime::CommonTls& common,
                   const std::vector<std::shared_ptr<const runtime::Secret>>& secrets) {
  Key key;
  key.add(kind);
  for (const stream::TlsIdentity& identity : settings.identities) {
    key.add(identity.chain);
    key.add(identity.private_key);
    key.add(identity.password);
  }
  key.add(static_cast<std::uint64_t>(settings.version_min));
  key.add(static_cast<std::uint64_t>(settings.version_max));
  key.add(settings.cipher_suites);
  key.add(settings.curves);
  key.add(settings.alpn);
  if (settings.trust) {
    key.add(settings.trust->ca);
    key.add(settings.trust->crl);
    key.add(settings.trust->certificate_sha256);
    key.add(settings.trust->spki_sha256);
    key.add((settings.trust->system_roots ? 1U : 0U) | (settings.trust->accepts_untrusted ? 2U : 0U));
  }
  add_names(key, common.validation);
  for (const auto& secret : secrets) {
    if (const auto* validation = std::get_if<runtime::TlsValidation>(&secret->value)) add_names(key, *validation);
  }
  return key.take();
}

}  // namespace

Result<std::string> TlsContexts::text_of(const runtime::DataSource& source) const {
  if (source.file.empty()) return source.text;
  LATEEN_TRY(const std::shared_ptr<const std::string> text, files_.text(source.file));
  return *text;
}

Result<stream::TlsIdentity> TlsContexts::identity_of(const runtime::TlsCertificate& certificate) const {
  stream::TlsIdentity identity;
  LATEEN_TRY(identity.chain, text_of(certificate.chain));
  LATEEN_TRY(identity.private_key, text_of(certificate.private_key));
  LATEEN_TRY(identity.password, text_of(certificate.password));
  // A password file ends with its line.
  while (!certificate.password.file.empty() && identity.password.ends_with('\n')) identity.password.pop_back();
  return identity;
}

Result<void> TlsContexts::add_trust(const runtime::TlsValidation& validation, stream::TlsTrust& trust) const {
  if (validation.trusted_ca.given()) {
    LATEEN_TRY(trust.ca, text_of(validation.trusted_ca));
  }
  if (validation.crl.given()) {
    LATEEN_TRY(trust.crl, text_of(validation.crl));
  }
  if (validation.trusted_ca.given() && trust.ca.empty()) return fail(ErrorCode::kInvalidConfig, "the CA certificates are empty");
  trust.system_roots = trust.system_roots || validation.system_roots;
  trust.accepts_untrusted = trust.accepts_untrusted || validation.accepts_untrusted;
  for (const runtime::SubjectAltName& name : validation.names) trust.names.push_back(name_of(name));
  for (const std::string& text : validation.certificate_sha256) {
    const std::optional<std::string> hash = decode_hex(text);
    if (!hash || hash->size() != kSha256Bytes) return fail(ErrorCode::kInvalidConfig, "\"" + text + "\" is no SHA-256");
    trust.certificate_sha256.push_back(*hash);
  }
  for (const std::string& text : validation.spki_sha256) {
    const std::optional<std::string> hash = decode_base64(text);
    if (!hash || hash->size() != kSha256Bytes) return fail(ErrorCode::kInvalidConfig, "\"" + text + "\" is no SHA-256 in base64");
    trust.spki_sha256.push_back(*hash);
  }
  return {};
}

Result<stream::TlsSettings> TlsContexts::settings_of(const runtime::CommonTls& common, const Secrets& secrets) const {
  stream::TlsSettings settings;
  for (const runtime::TlsCertificate& certificate : common.certificates) {
    LATEEN_TRY(stream::TlsIdentity identity, identity_of(certificate));
    settings.identities.push_back(std::move(identity));
  }
  if (common.validation) LATEEN_TRY_VOID(add_trust(*common.validation, settings.trust.emplace()));
  for (std::size_t i = 0; i < secrets.size(); ++i) {
    const bool is_validation = i == common.certificate_secrets.size();
    if (is_validation) {
      const auto* validation = std::get_if<runtime::TlsValidation>(&secrets[i]->value);
      if (validation == nullptr) return fail(ErrorCode::kInvalidConfig, "secret " + secrets[i]->name + " holds no CA certificates");
      if (!settings.trust) settings.trust.emplace();
      LATEEN_TRY_VOID(add_trust(*validation, *settings.trust));
      continue;
    }
    const auto* certificate = std::get_if<runtime::TlsCertificate>(&secrets[i]->value);
    if (certificate == nullptr) return fail(ErrorCode::kInvalidConfig, "secret " + secrets[i]->name + " holds no certificate");
    LATEEN_TRY(stream::TlsIdentity identity, identity_of(*certificate));
    settings.identities.push_back(std::move(identity));
  }
  settings.version_min = version_of(common.version_min);
  settings.version_max = version_of(common.version_max);
  settings.cipher_suites = common.cipher_suites;
  settings.curves = common.ecdh_curves;
  settings.alpn = common.alpn;
  return settings;
}

// One context for equal texts.
TlsContextResult TlsContexts::shared(const std::string& key, const std::function<TlsContextResult()>& make) {
  if (by_text_.size() > kContextsMax) std::erase_if(by_text_, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<const stream::TlsContext>& known = by_text_[key];
  if (auto context = known.lock()) return context;
  TlsContextResult made = make();
  if (made) known = *made;
  else by_text_.erase(key);
  return made;
}

TlsContextResult TlsContexts::make_downstream(const void* settings, const std::vector<std::string>&, const Secrets& secrets) {
  const auto& tls = *static_cast<const runtime::DownstreamTls*>(settings);
  stream::TlsServerSettings server;
  LATEEN_TRY(server.common, settings_of(tls.common, secrets));
  server.requires_client_certificate = tls.requires_client_certificate;
  server.session_tickets = tls.session_tickets;
  server.session_cache = tls.session_cache;
  const std::string kind = std::string("server") + (server.requires_client_certificate ? "c" : "") +
                           (server.session_tickets ? "t" : "") + (server.session_cache ? "s" : "");
  return shared(key_of(kind, server.common, tls.common, secrets), [&] { return stream::TlsContext::server(server); });
}

TlsContextResult TlsContexts::make_upstream(const void* settings, const std::vector<std::string>& alpn, const Secrets& secrets) {
  const auto& tls = *static_cast<const runtime::UpstreamTls*>(settings);
  stream::TlsClientSettings client;
  LATEEN_TRY(client.common, settings_of(tls.common, secrets));
  if (client.common.alpn.empty()) client.common.alpn = alpn;
  client.sessions_max = tls.sessions_max;
  return shared(key_of("client" + std::to_string(client.sessions_max), client.common, tls.common, secrets),
                [&] { return stream::TlsContext::client(client); });
}

TlsContextResult TlsContexts::look_up(std::shared_ptr<const void> settings, const runtime::CommonTls& common,
                                      const std::vector<std::string>& default_alpn, const SecretSource& source, Make make) {
  Secrets secrets;
  const auto take = [&](const std::string& name) -> Result<void> {
    std::shared_ptr<const runtime::Secret> secret = source.secret(name);
    if (secret == nullptr) return fail(ErrorCode::kNotFound, "secret " + name + " is not there");
    secrets.push_back(std::move(secret));
    return {};
  };
  for (const std::string& name : common.certificate_secrets) LATEEN_TRY_VOID(take(name));
  if (!common.validation_secret.empty()) LATEEN_TRY_VOID(take(common.validation_secret));

  const std::lock_guard guard(lock_);
  const std::uint64_t generation = files_.generation();
  if (known_.size() > kContextsMax) known_.clear();
  Known& known = known_[{settings.get(), default_alpn}];
  if (known.settings != nullptr && known.secrets == secrets && known.files_generation == generation) return known.context;
  TlsContextResult made = (this->*make)(settings.get(), default_alpn, secrets);
  known.settings = std::move(settings);
  known.secrets = std::move(secrets);
  known.files_generation = generation;
  // A pair of files that is being replaced does not fit for a moment.
  if (made || !known.context) known.context = std::move(made);
  return known.context;
}

TlsContextResult TlsContexts::downstream(const std::shared_ptr<const runtime::DownstreamTls>& tls, const SecretSource& secrets) {
  return look_up(tls, tls->common, {}, secrets, &TlsContexts::make_downstream);
}

TlsContextResult TlsContexts::upstream(const std::shared_ptr<const runtime::UpstreamTls>& tls,
                                       const std::vector<std::string>& default_alpn, const SecretSource& secrets) {
  return look_up(tls, tls->common, default_alpn, secrets, &TlsContexts::make_upstream);
}

}  // namespace lateen::proxy
