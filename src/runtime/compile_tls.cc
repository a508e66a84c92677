#include "runtime/compile_tls.h"

#include <envoy/config/core/v3/base.pb.h>
#include <envoy/extensions/transport_sockets/tls/v3/common.pb.h>
#include <envoy/extensions/transport_sockets/tls/v3/secret.pb.h>
#include <envoy/extensions/transport_sockets/tls/v3/tls.pb.h>

#include <algorithm>

#include "xds/resources.h"

// Deprecated fields are still sent, and Envoy still obeys them.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace lateen::runtime {
namespace {

namespace core = envoy::config::core::v3;
namespace tls = envoy::extensions::transport_sockets::tls::v3;

constexpr std::size_t kSha256Digits = 64, kSpkiCharacters = 44;
constexpr std::uint32_t kAlpnBytesMax = 255;

DataSource compile_data_source(std::string_view name, bool has, const core::DataSource& proto, Fields& fields) {
  if (!has) return {};
  const Fields::At at(fields, name);
  // A file is read when a connection needs it and its time of change is another: no folder needs to be watched for that.
  fields.only(proto, {proto.kFilenameFieldNumber, proto.kInlineBytesFieldNumber, proto.kInlineStringFieldNumber,
                      proto.kWatchedDirectoryFieldNumber});
  switch (proto.specifier_case()) {
    case core::DataSource::kFilename: return {{}, proto.filename()};
    case core::DataSource::kInlineBytes: return {proto.inline_bytes(), {}};
    case core::DataSource::kInlineString: return {proto.inline_string(), {}};
    case core::DataSource::kEnvironmentVariable:
    case core::DataSource::SPECIFIER_NOT_SET: break;
  }
  return {};
}

TlsCertificate compile_certificate(const tls::TlsCertificate& proto, Fields& fields) {
  fields.only(proto, {proto.kCertificateChainFieldNumber, proto.kPrivateKeyFieldNumber, proto.kPasswordFieldNumber,
                      proto.kWatchedDirectoryFieldNumber});
  TlsCertificate out;
  out.chain = compile_data_source("certificate_chain", proto.has_certificate_chain(), proto.certificate_chain(), fields);
  out.private_key = compile_data_source("private_key", proto.has_private_key(), proto.private_key(), fields);
  out.password = compile_data_source("password", proto.has_password(), proto.password(), fields);
  if (!out.chain.given() || !out.private_key.given()) fields.refuse("needs certificate_chain and private_key");
  return out;
}

void compile_names(const tls::CertificateValidationContext& proto, TlsValidation& out, Fields& fields) {
  using Kind = SubjectAltName::Kind;
  for (int i = 0; i < proto.match_typed_subject_alt_names_size(); ++i) {
    const Fields::At at(fields, "match_typed_subject_alt_names", i);
    const auto& entry = proto.match_typed_subject_alt_names(i);
    fields.only(entry, {entry.kSanTypeFieldNumber, entry.kMatcherFieldNumber});
    SubjectAltName name;
    switch (static_cast<int>(entry.san_type())) {
      case tls::SubjectAltNameMatcher::EMAIL: name.kind = Kind::kEmail; break;
      case tls::SubjectAltNameMatcher::DNS: name.kind = Kind::kDns; break;
      case tls::SubjectAltNameMatcher::URI: name.kind = Kind::kUri; break;
      case tls::SubjectAltNameMatcher::IP_ADDRESS: name.kind = Kind::kIp; break;
      case tls::SubjectAltNameMatcher::OTHER_NAME: fields.unsupported("san_type: OTHER_NAME is not supported"); break;
      default: fields.refuse("needs a san_type"); break;
    }
    const Fields::At at_matcher(fields, "matcher");
    name.name = fields.string_matcher(entry.matcher());
    out.names.push_back(std::move(name));
  }
  for (int i = 0; i < proto.match_subject_alt_names_size(); ++i) {
    const Fields::At at(fields, "match_subject_alt_names", i);
    out.names.push_back({Kind::kAny, fields.string_matcher(proto.match_subject_alt_names(i))});
  }
}

// "AB:CD..." as "abcd...".
std::string compile_sha256(const std::string& text, Fields& fields) {
  std::string out;
  for (const char c : text) {
    if (c == ':') continue;
    const bool upper = c >= 'A' && c <= 'F';
    if (!upper && !(c >= 'a' && c <= 'f') && !(c >= '0' && c <= '9')) out.clear();
    out += upper ? static_cast<char>(c - 'A' + 'a') : c;
  }
  if (out.size() != kSha256Digits) fields.refuse("\"" + text + "\" is no SHA-256 in hexadecimal");
  return out;
}

TlsValidation compile_validation(const tls::CertificateValidationContext& proto, Fields& fields) {
  fields.only(proto, {proto.kTrustedCaFieldNumber, proto.kSystemRootCertsFieldNumber, proto.kWatchedDirectoryFieldNumber,
                      proto.kVerifyCertificateSpkiFieldNumber, proto.kVerifyCertificateHashFieldNumber,
                      proto.kMatchTypedSubjectAltNamesFieldNumber, proto.kMatchSubjectAltNamesFieldNumber, proto.kCrlFieldNumber,
                      proto.kTrustChainVerificationFieldNumber});
  TlsValidation out;
  out.trusted_ca = compile_data_source("trusted_ca", proto.has_trusted_ca(), proto.trusted_ca(), fields);
  out.crl = compile_data_source("crl", proto.has_crl(), proto.crl(), fields);
  if (proto.has_system_root_certs()) {
    const Fields::At at(fields, "system_root_certs");
    fields.only(proto.system_root_certs(), {});
    out.system_roots = true;
  }
  switch (static_cast<int>(proto.trust_chain_verification())) {
    case tls::CertificateValidationContext::VERIFY_TRUST_CHAIN: break;
    case tls::CertificateValidationContext::ACCEPT_UNTRUSTED: out.accepts_untrusted = true; break;
    default: fields.refuse("unknown trust_chain_verification"); break;
  }
  compile_names(proto, out, fields);
  for (const std::string& hash : proto.verify_certificate_hash()) {
    const Fields::At at(fields, "verify_certificate_hash");
    out.certificate_sha256.push_back(compile_sha256(hash, fields));
  }
  for (const std::string& spki : proto.verify_certificate_spki()) {
    const Fields::At at(fields, "verify_certificate_spki");
    if (spki.size() != kSpkiCharacters) fields.refuse("\"" + spki + "\" is no SHA-256 in Base64");
    out.spki_sha256.push_back(spki);
  }
  return out;
}

// Where secrets come from is not looked at: all are in the snapshot, by name.
std::string secret_name(const tls::SdsSecretConfig& proto, Fields& fields) {
  fields.only(proto, {proto.kNameFieldNumber, proto.kSdsConfigFieldNumber});
  if (proto.name().empty()) fields.refuse("needs a name");
  return proto.name();
}

void compile_validation_of(const tls::CommonTlsContext& proto, CommonTls& out, Fields& fields) {
  switch (proto.validation_context_type_case()) {
    case tls::CommonTlsContext::kValidationContext: {
      const Fields::At at(fields, "validation_context");
      out.validation = compile_validation(proto.validation_context(), fields);
      return;
    }
    case tls::CommonTlsContext::kValidationContextSdsSecretConfig: {
      const Fields::At at(fields, "validation_context_sds_secret_config");
      out.validation_secret = secret_name(proto.validation_context_sds_secret_config(), fields);
      return;
    }
    case tls::CommonTlsContext::kCombinedValidationContext: {
      const Fields::At at(fields, "combined_validation_context");
      const auto& combined = proto.combined_validation_context();
      fields.only(combined, {combined.kDefaultValidationContextFieldNumber, combined.kValidationContextSdsSecretConfigFieldNumber});
      out.validation_secret = secret_name(combined.validation_context_sds_secret_config(), fields);
      const Fields::At at_default(fields, "default_validation_context");
      out.validation = compile_validation(combined.default_validation_context(), fields);
      return;
    }
    case tls::CommonTlsContext::kValidationContextCertificateProvider:
    case tls::CommonTlsContext::kValidationContextCertificateProviderInstance:
    case tls::CommonTlsContext::VALIDATION_CONTEXT_TYPE_NOT_SET: return;  // told by Fields::only
  }
}

TlsVersion compile_version(tls::TlsParameters::TlsProtocol version, Fields& fields) {
  switch (static_cast<int>(version)) {
    case tls::TlsParameters::TLS_AUTO: return TlsVersion::kAuto;
    case tls::TlsParameters::TLSv1_0: return TlsVersion::kTls10;
    case tls::TlsParameters::TLSv1_1: return TlsVersion::kTls11;
    case tls::TlsParameters::TLSv1_2: return TlsVersion::kTls12;
    case tls::TlsParameters::TLSv1_3: return TlsVersion::kTls13;
    default: fields.refuse("unknown TLS version"); return TlsVersion::kAuto;
  }
}

void compile_parameters(const tls::TlsParameters& proto, CommonTls& out, Fields& fields) {
  const Fields::At at(fields, "tls_params");
  fields.only(proto, {proto.kTlsMinimumProtocolVersionFieldNumber, proto.kTlsMaximumProtocolVersionFieldNumber,
                      proto.kCipherSuitesFieldNumber, proto.kEcdhCurvesFieldNumber});
  out.version_min = compile_version(proto.tls_minimum_protocol_version(), fields);
  out.version_max = compile_version(proto.tls_maximum_protocol_version(), fields);
  if (out.version_max != TlsVersion::kAuto && out.version_min > out.version_max) fields.refuse("the minimum version is above the maximum");
  out.cipher_suites.assign(proto.cipher_suites().begin(), proto.cipher_suites().end());
  out.ecdh_curves.assign(proto.ecdh_curves().begin(), proto.ecdh_curves().end());
}

CommonTls compile_common(const tls::CommonTlsContext& proto, Fields& fields) {
  const Fields::At at_all(fields, "common_tls_context");
  fields.only(proto, {proto.kTlsParamsFieldNumber, proto.kTlsCertificatesFieldNumber, proto.kTlsCertificateSdsSecretConfigsFieldNumber,
                      proto.kValidationContextFieldNumber, proto.kValidationContextSdsSecretConfigFieldNumber,
                      proto.kCombinedValidationContextFieldNumber, proto.kAlpnProtocolsFieldNumber});
  CommonTls out;
  if (proto.has_tls_params()) compile_parameters(proto.tls_params(), out, fields);
  for (int i = 0; i < proto.tls_certificates_size(); ++i) {
    const Fields::At at(fields, "tls_certificates", i);
    out.certificates.push_back(compile_certificate(proto.tls_certificates(i), fields));
  }
  for (int i = 0; i < proto.tls_certificate_sds_secret_configs_size(); ++i) {
    const Fields::At at(fields, "tls_certificate_sds_secret_configs", i);
    out.certificate_secrets.push_back(secret_name(proto.tls_certificate_sds_secret_configs(i), fields));
  }
  compile_validation_of(proto, out, fields);
  for (const std::string& protocol : proto.alpn_protocols()) {
    const Fields::At at(fields, "alpn_protocols");
    if (protocol.empty() || protocol.size() > kAlpnBytesMax) fields.refuse("a protocol's name has 1 to 255 bytes");
    out.alpn.push_back(protocol);
  }
  return out;
}

}  // namespace

std::shared_ptr<const DownstreamTls> compile_downstream_tls(const google::protobuf::Any& any, Fields& fields) {
  tls::DownstreamTlsContext proto;
  if (!fields.unpack(any, proto)) return nullptr;
  fields.only(proto, {proto.kCommonTlsContextFieldNumber, proto.kRequireClientCertificateFieldNumber,
                      proto.kDisableStatelessSessionResumptionFieldNumber, proto.kDisableStatefulSessionResumptionFieldNumber,
                      proto.kOcspStaplePolicyFieldNumber});
  // Without staples LENIENT_STAPLING, the default, means none.
  if (proto.ocsp_staple_policy() != tls::DownstreamTlsContext::LENIENT_STAPLING) fields.unsupported("ocsp_staple_policy: stapling is not supported");
  auto out = std::make_shared<DownstreamTls>();
  out->common = compile_common(proto.common_tls_context(), fields);
  out->common.content_hash = xds::content_hash(any.value());
  out->requires_client_certificate = proto.require_client_certificate().value();
  out->session_tickets = !proto.disable_stateless_session_resumption();
  out->session_cache = !proto.disable_stateful_session_resumption();
  if (out->common.certificates.empty() && out->common.certificate_secrets.empty())
    fields.refuse("common_tls_context: a server needs a certificate");
  return out;
}

std::shared_ptr<const UpstreamTls> compile_upstream_tls(const google::protobuf::Any& any, UpstreamNames names, Fields& fields) {
  tls::UpstreamTlsContext proto;
  if (!fields.unpack(any, proto)) return nullptr;
  fields.only(proto, {proto.kCommonTlsContextFieldNumber, proto.kSniFieldNumber, proto.kAutoHostSniFieldNumber,
                      proto.kAutoSniSanValidationFieldNumber, proto.kMaxSessionKeysFieldNumber});
  auto out = std::make_shared<UpstreamTls>();
  out->common = compile_common(proto.common_tls_context(), fields);
  out->common.content_hash = xds::content_hash(any.value());
  out->sni = proto.sni();
  out->sni_from_host = proto.auto_host_sni();
  out->sni_from_request = names.sni_from_request;
  out->names_from_sni = proto.auto_sni_san_validation() || names.names_from_sni;
  if (proto.has_max_session_keys()) out->sessions_max = proto.max_session_keys().value();
  if (out->common.certificates.size() + out->common.certificate_secrets.size() > 1) fields.refuse("common_tls_context: a client has at most one certificate");
  return out;
}

std::shared_ptr<const Secret> compile_secret(const tls::Secret& proto, std::uint64_t content_hash, Fields& fields) {
  fields.only(proto, {proto.kNameFieldNumber, proto.kTlsCertificateFieldNumber, proto.kValidationContextFieldNumber});
  auto out = std::make_shared<Secret>();
  out->name = proto.name();
  out->content_hash = content_hash;
  if (proto.has_tls_certificate()) {
    const Fields::At at(fields, "tls_certificate");
    out->value = compile_certificate(proto.tls_certificate(), fields);
  } else if (proto.has_validation_context()) {
    const Fields::At at(fields, "validation_context");
    out->value = compile_validation(proto.validation_context(), fields);
  } else if (fields.unsupported().empty()) {
    fields.refuse("is neither a certificate nor a validation context");
  }
  if (!fields.ok() || !fields.unsupported().empty()) return nullptr;
  return out;
}

std::shared_ptr<const Secret> file_secret(const std::string& name) {
  constexpr std::string_view kCertificate = "file-cert:", kAuthority = "file-root:";
  auto out = std::make_shared<Secret>();
  out->name = name;
  out->content_hash = xds::content_hash(name);
  if (name.starts_with(kAuthority)) {
    TlsValidation validation;
    validation.system_roots = name.substr(kAuthority.size()) == "system";
    if (!validation.system_roots) validation.trusted_ca.file = name.substr(kAuthority.size());
    out->value = std::move(validation);
    return out;
  }
  const std::size_t tilde = name.find('~');
  if (!name.starts_with(kCertificate) || tilde == std::string::npos) return nullptr;
  TlsCertificate certificate;
  certificate.chain.file = name.substr(kCertificate.size(), tilde - kCertificate.size());
  certificate.private_key.file = name.substr(tilde + 1);
  out->value = std::move(certificate);
  return out;
}

}  // namespace lateen::runtime
