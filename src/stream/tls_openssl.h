// OpenSSL's things with owners, and its errors in Envoy's words. Internal to stream's TLS.
#pragma once

#include <memory>
#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string>
#include <string_view>
#include <vector>

#include "base/freed_by.h"
#include "stream/tls.h"

namespace lateen::stream {

using X509Owner = std::unique_ptr<X509, FreedBy<X509_free>>;
using KeyOwner = std::unique_ptr<EVP_PKEY, FreedBy<EVP_PKEY_free>>;
using BioOwner = std::unique_ptr<BIO, FreedBy<BIO_free_all>>;
using SslOwner = std::unique_ptr<SSL, FreedBy<SSL_free>>;
using SslCtxOwner = std::unique_ptr<SSL_CTX, FreedBy<SSL_CTX_free>>;
using SessionOwner = std::unique_ptr<SSL_SESSION, FreedBy<SSL_SESSION_free>>;
using CrlOwner = std::unique_ptr<X509_CRL, FreedBy<X509_CRL_free>>;

// Empties this thread's error queue. "|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED", one after the
// other; "" where it was empty. Numbers and names are those that Envoy prints.
std::string take_tls_errors();
// The same as a sentence of a person: "certificate verify failed".
std::string take_tls_error_reason();

// Every certificate of a PEM text. Errors: kInvalidConfig.
Result<std::vector<X509Owner>> read_certificates(std::string_view pem);
Result<KeyOwner> read_private_key(std::string_view pem, const std::string& password);

TlsCertificateFacts certificate_facts(X509& certificate, const STACK_OF(X509)* chain);
// The texts of one kind of subject alternative names (GEN_DNS, GEN_URI, GEN_EMAIL, GEN_IPADD; negative: of all these).
std::vector<std::string> alternative_names(X509& certificate, int kind);
std::string certificate_sha256(const X509& certificate);   // raw
std::string spki_sha256(const X509& certificate);          // raw
std::string to_hex(std::string_view bytes);

}  // namespace lateen::stream
