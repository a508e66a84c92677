// Certificates for tests, made when they are asked for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lateen::testing {

struct CertificateWish {
  std::string common_name = {};
  std::vector<std::string> names = {};      // as OpenSSL writes them: "DNS:a.example", "URI:spiffe://a/b", "IP:127.0.0.1"
  bool rsa = false;                         // else P-256
  bool authority = false;
  int valid_from_days = -1, valid_until_days = 30;
  std::int64_t serial = 0;                  // 0: one of its own
};
struct MadeCertificate {
  std::string certificate, private_key;     // PEM
};

// Signed by itself, or by `issuer`. Aborts where OpenSSL refuses.
MadeCertificate make_certificate(const CertificateWish& wish, const MadeCertificate* issuer = nullptr);
// A revocation list of `issuer` that names the serial numbers.
std::string make_crl(const MadeCertificate& issuer, const std::vector<std::int64_t>& revoked);

}  // namespace lateen::testing
