// What a certificate says.
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cctype>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "stream/tls_openssl.h"

namespace lateen::stream {

namespace {

using NamesOwner = std::unique_ptr<GENERAL_NAMES, FreedBy<GENERAL_NAMES_free>>;

// Fetched once: every use by name would go through OpenSSL's providers again.
const EVP_MD* sha256() {
  static const EVP_MD* const digest = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return digest;
}
const EVP_MD* sha1() {
  static const EVP_MD* const digest = EVP_MD_fetch(nullptr, "SHA1", nullptr);
  return digest;
}

std::string text_of(BIO* written) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(written, &data);
  return size <= 0 ? std::string() : std::string(data, static_cast<std::size_t>(size));
}

std::string name_text(const X509_NAME* name) {
  const BioOwner writer(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(writer.get(), name, 0, XN_FLAG_RFC2253);
  return text_of(writer.get());
}

std::string pem_text(X509* certificate) {
  const BioOwner writer(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(writer.get(), certificate);
  return text_of(writer.get());
}

std::string text_of(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)), static_cast<std::size_t>(ASN1_STRING_length(text))};
}

std::string address_text(const ASN1_OCTET_STRING* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int size = ASN1_STRING_length(address);
  const int family = size == 4 ? AF_INET : AF_INET6;
  if (size != 4 && size != 16) return {};
  const char* written = inet_ntop(family, ASN1_STRING_get0_data(address), text.data(), text.size());
  return written == nullptr ? std::string() : std::string(written);
}

std::string digest_of(const X509& certificate, const EVP_MD* digest) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned size = 0;
  if (X509_digest(&certificate, digest, bytes.data(), &size) != 1) return {};
  return {reinterpret_cast<const char*>(bytes.data()), size};
}

std::string serial_text(const X509& certificate) {
  const ASN1_INTEGER* serial = X509_get0_serialNumber(&certificate);
  std::string hex = to_hex(text_of(serial));
  const std::size_t first = hex.find_first_not_of('0');
  return first == std::string::npos ? "0" : hex.substr(first);
}

std::int64_t seconds_of(const ASN1_TIME* time) {
  tm parts{};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? static_cast<std::int64_t>(timegm(&parts)) : 0;
}

}  // namespace

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string certificate_sha256(const X509& certificate) { return digest_of(certificate, sha256()); }

std::string spki_sha256(const X509& certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(&certificate), &der);
  if (size <= 0) return {};
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned digest_size = 0;
  const int done = EVP_Digest(der, static_cast<std::size_t>(size), bytes.data(), &digest_size, sha256(), nullptr);
  OPENSSL_free(der);
  return done != 1 ? std::string() : std::string(reinterpret_cast<const char*>(bytes.data()), digest_size);
}

std::vector<std::string> alternative_names(X509& certificate, int kind) {
  std::vector<std::string> texts;
  const NamesOwner names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    const bool is_text = name->type == GEN_DNS || name->type == GEN_URI || name->type == GEN_EMAIL || name->type == GEN_IPADD;
    if (!is_text || (kind >= 0 && name->type != kind)) continue;
    // A zero byte would let a name look like another to who reads it as C text.
    std::string text = name->type == GEN_IPADD ? address_text(name->d.iPAddress) : text_of(name->d.ia5);
    if (!text.empty() && text.find('\0') == std::string::npos) texts.push_back(std::move(text));
  }
  return texts;
}

TlsCertificateFacts certificate_facts(X509& certificate, const STACK_OF(X509)* chain) {
  TlsCertificateFacts facts;
  facts.subject = name_text(X509_get_subject_name(&certificate));
  facts.issuer = name_text(X509_get_issuer_name(&certificate));
  facts.dns_names = alternative_names(certificate, GEN_DNS);
  facts.uris = alternative_names(certificate, GEN_URI);
  facts.emails = alternative_names(certificate, GEN_EMAIL);
  facts.addresses = alternative_names(certificate, GEN_IPADD);
  facts.sha256 = to_hex(certificate_sha256(certificate));
  facts.sha1 = to_hex(digest_of(certificate, sha1()));
  facts.serial = serial_text(certificate);
  facts.pem = pem_text(&certificate);
  facts.chain_pem = facts.pem;
  for (int i = 0; chain != nullptr && i < sk_X509_num(chain); ++i) {
    X509* other = sk_X509_value(chain, i);
    if (X509_cmp(other, &certificate) != 0) facts.chain_pem += pem_text(other);
  }
  facts.valid_from = seconds_of(X509_get0_notBefore(&certificate));
  facts.valid_until = seconds_of(X509_get0_notAfter(&certificate));
  return facts;
}

bool dns_name_covers(std::string_view certificate_name, std::string_view name) {
  const auto same = [](std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
      return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
    });
  };
  if (!certificate_name.starts_with("*.")) return same(certificate_name, name);
  // The star stands for one label, and never for a whole top-level domain.
  const std::size_t dot = name.find('.');
  const std::string_view suffix = certificate_name.substr(1);
  return dot != std::string_view::npos && dot > 0 && suffix.find('.', 1) != std::string_view::npos &&
         same(suffix, name.substr(dot));
}

}  // namespace lateen::stream
