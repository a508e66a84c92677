#include "stream/tls_openssl.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <utility>

namespace lateen::stream {

namespace {

// BoringSSL's number of an SSL error whose name both libraries share. What Envoy prints is (16 << 24 | reason).
constexpr std::uint64_t kBoringSslLibrary = std::uint64_t{16} << 24;
constexpr int kAlertReasonFirst = 1000;   // SSL_R_..._ALERT_...: the alert's number is added, in both
constexpr std::array<std::pair<int, std::uint64_t>, 11> kReasons = {{
    {SSL_R_CERTIFICATE_VERIFY_FAILED, 125},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, 192},
    {SSL_R_WRONG_VERSION_NUMBER, 247},
    {SSL_R_UNSUPPORTED_PROTOCOL, 240},
    {SSL_R_NO_SHARED_CIPHER, 184},
    {SSL_R_HTTP_REQUEST, 156},
    {SSL_R_NO_CIPHERS_AVAILABLE, 175},
    {SSL_R_UNEXPECTED_MESSAGE, 223},
    {SSL_R_NO_RENEGOTIATION, 182},
    {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, 130},
    {SSL_R_UNEXPECTED_RECORD, 225},
}};

std::uint64_t number_of(unsigned long error) {
  const int reason = ERR_GET_REASON(error);
  if (ERR_GET_LIB(error) != ERR_LIB_SSL) return error;
  if (reason >= kAlertReasonFirst) return kBoringSslLibrary | static_cast<std::uint64_t>(reason);
  const auto* known = std::find_if(kReasons.begin(), kReasons.end(), [&](const auto& entry) { return entry.first == reason; });
  return kBoringSslLibrary | (known != kReasons.end() ? known->second : static_cast<std::uint64_t>(reason));
}

std::string name_of(unsigned long error) {
  const char* text = ERR_reason_error_string(error);
  std::string name = text == nullptr ? "UNKNOWN" : text;
  for (char& c : name) c = c == ' ' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

int give_password(char* into, int size, int, void* password) {
  const auto& text = *static_cast<const std::string*>(password);
  const int length = std::min(size, static_cast<int>(text.size()));
  std::copy_n(text.data(), length, into);
  return length;
}

BioOwner reader_of(std::string_view text) {
  return BioOwner(BIO_new_mem_buf(text.data(), static_cast<int>(std::min<std::size_t>(text.size(), 1U << 30))));
}

}  // namespace

std::string take_tls_errors() {
  std::string text;
  while (const unsigned long error = ERR_get_error()) {
    const char* library = ERR_lib_error_string(error);
    text += "|" + std::to_string(number_of(error)) + ":" + (library == nullptr ? "unknown library" : library) +
            ":OPENSSL_internal:" + name_of(error);
  }
  return text;
}

std::string take_tls_error_reason() {
  const unsigned long error = ERR_get_error();
  ERR_clear_error();
  const char* text = error == 0 ? nullptr : ERR_reason_error_string(error);
  return text == nullptr ? "unknown reason" : text;
}

Result<std::vector<X509Owner>> read_certificates(std::string_view pem) {
  std::vector<X509Owner> certificates;
  const BioOwner reader = reader_of(pem);
  while (X509* certificate = PEM_read_bio_X509_AUX(reader.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(certificate);
  }
  const unsigned long error = ERR_peek_last_error();
  const bool at_end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  if (!certificates.empty() && at_end) {
    ERR_clear_error();
    return certificates;
  }
  return fail(ErrorCode::kInvalidConfig, certificates.empty() && at_end ? "no certificate in the PEM text"
                                                                        : "a certificate is malformed: " + take_tls_error_reason());
}

Result<KeyOwner> read_private_key(std::string_view pem, const std::string& password) {
  const BioOwner reader = reader_of(pem);
  // OpenSSL only reads through the pointer, and would ask the terminal for a password without the callback.
  KeyOwner key(PEM_read_bio_PrivateKey(reader.get(), nullptr, give_password, const_cast<std::string*>(&password)));
  if (key == nullptr) return fail(ErrorCode::kInvalidConfig, "the private key cannot be read: " + take_tls_error_reason());
  ERR_clear_error();
  return key;
}

}  // namespace lateen::stream
