// TlsContexts: the TLS contexts of the process, made of runtime/tls.h and the secrets of the moment. Equal settings share
// one context, whatever listener, view or worker they belong to, and so its sessions and tickets.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "proxy/tls_files.h"
#include "runtime/tls.h"
#include "stream/tls.h"

namespace lateen::proxy {

// The secrets of a view at the moment.
class SecretSource {
 public:
  virtual ~SecretSource() = default;
  // Null: there is none of that name.
  virtual std::shared_ptr<const runtime::Secret> secret(std::string_view name) const = 0;
};

using TlsContextResult = Result<std::shared_ptr<const stream::TlsContext>>;

// Used by every worker; locked.
class TlsContexts {
 public:
  static constexpr std::size_t kContextsMax = 4096;   // known settings; beyond, all are made anew

  // Errors: kNotFound where a secret or a file is missing, kInvalidConfig where it is bad. Where settings have worked
  // before, with earlier secrets, bad ones change nothing.
  TlsContextResult downstream(const std::shared_ptr<const runtime::DownstreamTls>& tls, const SecretSource& secrets);
  // `default_alpn`: for settings that have none.
  TlsContextResult upstream(const std::shared_ptr<const runtime::UpstreamTls>& tls, const std::vector<std::string>& default_alpn,
                            const SecretSource& secrets);
  TlsFiles& files() { return files_; }

 private:
  using Secrets = std::vector<std::shared_ptr<const runtime::Secret>>;
  // What settings became, of which secrets and files.
  struct Known {
    std::shared_ptr<const void> settings;   // keeps the address from being used again
    Secrets secrets;
    std::uint64_t files_generation = 0;
    TlsContextResult context = fail(ErrorCode::kNotFound, "not made");
  };
  using Make = TlsContextResult (TlsContexts::*)(const void* settings, const std::vector<std::string>& alpn, const Secrets& secrets);

  TlsContextResult look_up(std::shared_ptr<const void> settings, const runtime::CommonTls& common,
                           const std::vector<std::string>& default_alpn, const SecretSource& source, Make make);
  TlsContextResult make_downstream(const void* settings, const std::vector<std::string>& alpn, const Secrets& secrets);
  TlsContextResult make_upstream(const void* settings, const std::vector<std::string>& alpn, const Secrets& secrets);
  Result<stream::TlsSettings> settings_of(const runtime::CommonTls& common, const Secrets& secrets) const;
  Result<stream::TlsIdentity> identity_of(const runtime::TlsCertificate& certificate) const;
  Result<void> add_trust(const runtime::TlsValidation& validation, stream::TlsTrust& trust) const;
  Result<std::string> text_of(const runtime::DataSource& source) const;
  TlsContextResult shared(const std::string& key, const std::function<TlsContextResult()>& make);

  TlsFiles files_;
  std::mutex lock_;                                                          // guards what follows
  std::map<std::pair<const void*, std::vector<std::string>>, Known> known_;   // by settings and default_alpn
  std::map<std::string, std::weak_ptr<const stream::TlsContext>> by_text_;   // by everything that they are made of
};

}  // namespace lateen::proxy
