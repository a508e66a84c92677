#include "testing/certificates.h"

#include <atomic>
#include <memory>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "base/result.h"

namespace lateen::testing {

namespace {

constexpr long kDaySeconds = 86'400;

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  return text;
}

X509* read_certificate(const std::string& pem) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  X509* certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  LATEEN_CHECK(certificate != nullptr);
  return certificate;
}

EVP_PKEY* read_key(const std::string& pem) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  LATEEN_CHECK(key != nullptr);
  return key;
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  LATEEN_CHECK(extension != nullptr);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

}  // namespace

MadeCertificate make_certificate(const CertificateWish& wish, const MadeCertificate* issuer) {
  static std::atomic<std::int64_t> serials{1000};
  EVP_PKEY* key = wish.rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
  LATEEN_CHECK(key != nullptr);
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set_int64(X509_get_serialNumber(certificate), wish.serial != 0 ? wish.serial : ++serials);
  X509_gmtime_adj(X509_getm_notBefore(certificate), wish.valid_from_days * kDaySeconds);
  X509_gmtime_adj(X509_getm_notAfter(certificate), wish.valid_until_days * kDaySeconds);
  X509_set_pubkey(certificate, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(wish.common_name.c_str()), -1, -1, 0);
  X509* issuer_certificate = issuer == nullptr ? certificate : read_certificate(issuer->certificate);
  EVP_PKEY* issuer_key = issuer == nullptr ? key : read_key(issuer->private_key);
  X509_set_issuer_name(certificate, X509_get_subject_name(issuer_certificate));
  add_extension(certificate, issuer_certificate, NID_basic_constraints, wish.authority ? "critical,CA:TRUE" : "CA:FALSE");
  if (wish.authority) add_extension(certificate, issuer_certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
  std::string names;
  for (const std::string& name : wish.names) names += (names.empty() ? "" : ",") + name;
  if (!names.empty()) add_extension(certificate, issuer_certificate, NID_subject_alt_name, names);
  LATEEN_CHECK(X509_sign(certificate, issuer_key, EVP_sha256()) > 0);

  MadeCertificate made;
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, certificate);
  made.certificate = text_of(bio);
  bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  made.private_key = text_of(bio);
  if (issuer != nullptr) {
    X509_free(issuer_certificate);
    EVP_PKEY_free(issuer_key);
  }
  X509_free(certificate);
  EVP_PKEY_free(key);
  return made;
}

std::string make_crl(const MadeCertificate& issuer, const std::vector<std::int64_t>& revoked) {
  X509* certificate = read_certificate(issuer.certificate);
  EVP_PKEY* key = read_key(issuer.private_key);
  X509_CRL* list = X509_CRL_new();
  X509_CRL_set_version(list, 1);
  X509_CRL_set_issuer_name(list, X509_get_subject_name(certificate));
  ASN1_TIME* time = X509_gmtime_adj(nullptr, -kDaySeconds);
  X509_CRL_set1_lastUpdate(list, time);
  ASN1_TIME* next = X509_gmtime_adj(nullptr, kDaySeconds);
  X509_CRL_set1_nextUpdate(list, next);
  for (const std::int64_t serial : revoked) {
    X509_REVOKED* entry = X509_REVOKED_new();
    ASN1_INTEGER* number = ASN1_INTEGER_new();
    ASN1_INTEGER_set_int64(number, serial);
    X509_REVOKED_set_serialNumber(entry, number);
    X509_REVOKED_set_revocationDate(entry, time);
    X509_CRL_add0_revoked(list, entry);
    ASN1_INTEGER_free(number);
  }
  LATEEN_CHECK(X509_CRL_sign(list, key, EVP_sha256()) > 0);
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509_CRL(bio, list);
  ASN1_TIME_free(time);
  ASN1_TIME_free(next);
  X509_CRL_free(list);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return text_of(bio);
}

}  // namespace lateen::testing
