// What is wrong with certificates and keys in PEM (RFC 7468), in words for who wrote them. Pure: nothing is said about
// the time, so an expired certificate is none of its business. No text ever holds a part of a key.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lateen::analyze {

struct TlsFault {
  std::string what;   // "the certificate and the key do not belong together"
  std::string fix;
};

// `certificate` and `key` are the names of the fields that hold them ("tls.crt"), for the words.
struct CertificatePair {
  std::string_view certificate_name, certificate;
  std::string_view key_name, key;
};
std::optional<TlsFault> certificate_fault(const CertificatePair& pair);
// Certificates of authorities, one or several; a list of what they revoked may be empty.
std::optional<TlsFault> authorities_fault(std::string_view name, std::string_view authorities, std::string_view revoked);

}  // namespace lateen::analyze
