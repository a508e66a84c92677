#include "analyze/tls_material.h"

#include <memory>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/freed_by.h"

namespace lateen::analyze {
namespace {

using Bio = std::unique_ptr<BIO, FreedBy<BIO_free>>;
using Certificate = std::unique_ptr<X509, FreedBy<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, FreedBy<EVP_PKEY_free>>;
using RevocationList = std::unique_ptr<X509_CRL, FreedBy<X509_CRL_free>>;

Bio reader_of(std::string_view text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

// Nobody is there to be asked for the password of a key.
int no_password(char*, int, int, void*) { return 0; }

// The first certificate; `whole`: whether everything behind it that begins like PEM can be read, too.
Certificate read_certificates(std::string_view text, bool& whole) {
  const Bio reader = reader_of(text);
  Certificate first(PEM_read_bio_X509_AUX(reader.get(), nullptr, no_password, nullptr));
  while (first != nullptr) {
    const Certificate next(PEM_read_bio_X509(reader.get(), nullptr, no_password, nullptr));
    if (next == nullptr) break;
  }
  const unsigned long last = ERR_peek_last_error();
  whole = last == 0 || ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  return first;
}

bool is_pem(std::string_view text) { return text.find("-----BEGIN ") != std::string_view::npos; }

std::string as_text(std::string_view name, std::string_view what) {
  return "paste the whole file behind " + std::string(name) + ": |, indented, from -----BEGIN " + std::string(what) + "----- to its END line";
}

std::optional<TlsFault> unreadable(std::string_view name, std::string_view text, std::string_view what, std::string_view header) {
  if (is_pem(text)) return TlsFault{std::string(name) + " cannot be read as " + std::string(what), as_text(name, header)};
  return TlsFault{std::string(name) + " is not PEM: it has no line -----BEGIN " + std::string(header) + "-----", as_text(name, header)};
}

}  // namespace

std::optional<TlsFault> certificate_fault(const CertificatePair& pair) {
  bool whole = false;
  const Certificate leaf = read_certificates(pair.certificate, whole);
  if (leaf == nullptr || !whole) return unreadable(pair.certificate_name, pair.certificate, "a certificate", "CERTIFICATE");
  const Bio reader = reader_of(pair.key);
  const Key key(PEM_read_bio_PrivateKey(reader.get(), nullptr, no_password, nullptr));
  ERR_clear_error();
  if (key == nullptr && pair.key.find("ENCRYPTED") != std::string_view::npos)
    return TlsFault{std::string(pair.key_name) + " is encrypted, and nobody is there to give its password", "decrypt it: openssl pkey -in KEY -out PLAIN"};
  if (key == nullptr) return unreadable(pair.key_name, pair.key, "a private key", "PRIVATE KEY");
  const bool fits = X509_check_private_key(leaf.get(), key.get()) == 1;
  ERR_clear_error();
  if (fits) return std::nullopt;
  return TlsFault{std::string(pair.certificate_name) + " and " + std::string(pair.key_name) + " do not belong together: the certificate is for another key",
                  "take both from one order; the certificate of the workload itself comes first in the chain"};
}

std::optional<TlsFault> authorities_fault(std::string_view name, std::string_view authorities, std::string_view revoked) {
  bool whole = false;
  if (read_certificates(authorities, whole) == nullptr || !whole) return unreadable(name, authorities, "certificates", "CERTIFICATE");
  if (revoked.empty()) return std::nullopt;
  const Bio reader = reader_of(revoked);
  const RevocationList list(PEM_read_bio_X509_CRL(reader.get(), nullptr, no_password, nullptr));
  ERR_clear_error();
  return list != nullptr ? std::nullopt : unreadable("ca.crl", revoked, "a list of revoked certificates", "X509 CRL");
}

}  // namespace lateen::analyze
