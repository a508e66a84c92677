#include "net/dns.h"

#include <algorithm>
#include <ares.h>
#include <map>
#include <netdb.h>
#include <optional>
#include <sys/epoll.h>

#include "net/address.h"

namespace lateen::net {

namespace {

class AresResolver;

// What one question needs until c-ares has answered; c-ares holds it, also after its DnsQuery has gone.
struct Question {
  EpollLoop* loop;
  std::function<void(Result<Resolved>)> done;  // empty: nobody waits any more
  class Query* query = nullptr;
};

class Query final : public DnsQuery {
 public:
  explicit Query(Question& question) : question_(&question) {}
  ~Query() override {
    if (question_ == nullptr) return;
    question_->done = nullptr;
    question_->query = nullptr;
  }
  void answer(EpollLoop& loop, std::function<void(Result<Resolved>)> done, Result<Resolved> result) {
    question_ = nullptr;
    done_ = std::move(done);
    result_.emplace(std::move(result));
    loop.arm<&Query::tell>(later_, Duration::zero(), this);
  }

 private:
  void tell() {
    const auto done = std::move(done_);
    Result<Resolved> result = *std::move(result_);
    done(std::move(result));  // may destroy this
  }
  Question* question_;  // null: answered
  std::function<void(Result<Resolved>)> done_;
  std::optional<Result<Resolved>> result_;
  Timer later_;
};

// A socket of c-ares in our loop.
class Watch final : public FdEvents {
 public:
  Watch(AresResolver& resolver, int fd) : resolver_(resolver), fd_(fd) {}
  void on_fd_events(std::uint32_t events) override;
  FdToken token;

 private:
  AresResolver& resolver_;
  const int fd_;
};

class AresResolver final : public Resolver {
 public:
  explicit AresResolver(EpollLoop& loop) : loop_(loop) {}
  ~AresResolver() override {
    if (channel_ != nullptr) ares_destroy(channel_);
    if (library_ready_) ares_library_cleanup();
  }

  Result<void> open(const ResolverOptions& options);
  std::unique_ptr<DnsQuery> resolve(const std::string& name, DnsFamily family,
                                    std::function<void(Result<Resolved>)> done) override;
  void process(ares_socket_t readable, ares_socket_t writable) {
    ares_process_fd(channel_, readable, writable);
    arm_timeout();
  }

 private:
  static void on_socket_state(void* self, ares_socket_t fd, int readable, int writable) {
    static_cast<AresResolver*>(self)->watch(fd, readable != 0, writable != 0);
  }
  static void on_answer(void* question, int status, int timeouts, ares_addrinfo* answer);
  void watch(ares_socket_t fd, bool readable, bool writable);
  void arm_timeout();
  void on_timeout() { process(ARES_SOCKET_BAD, ARES_SOCKET_BAD); }

  EpollLoop& loop_;
  ares_channel channel_ = nullptr;
  bool library_ready_ = false;
  std::map<ares_socket_t, std::unique_ptr<Watch>> watches_;
  std::vector<std::unique_ptr<Watch>> gone_;  // a watch may go in its own event
  Timer timer_;
};

void Watch::on_fd_events(std::uint32_t events) {
  const bool readable = (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0;
  const bool writable = (events & (EPOLLOUT | EPOLLERR)) != 0;
  resolver_.process(readable ? fd_ : ARES_SOCKET_BAD, writable ? fd_ : ARES_SOCKET_BAD);
}

Result<void> AresResolver::open(const ResolverOptions& options) {
  const auto check = [](int status) -> Result<void> {
    if (status != ARES_SUCCESS) return fail(ErrorCode::kSystem, std::string("DNS: ") + ares_strerror(status));
    return {};
  };
  LATEEN_TRY_VOID(check(ares_library_init(ARES_LIB_INIT_ALL)));
  library_ready_ = true;
  ares_options settings{};
  settings.timeout = static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(options.timeout).count());
  settings.tries = options.tries;
  settings.sock_state_cb = &AresResolver::on_socket_state;
  settings.sock_state_cb_data = this;
  LATEEN_TRY_VOID(check(ares_init_options(&channel_, &settings, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB)));
  if (!options.servers.empty()) LATEEN_TRY_VOID(check(ares_set_servers_ports_csv(channel_, options.servers.c_str())));
  return {};
}

void AresResolver::watch(ares_socket_t fd, bool readable, bool writable) {
  gone_.clear();
  const std::uint32_t events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u);
  const auto found = watches_.find(fd);
  if (found != watches_.end() && events == 0) {
    loop_.remove_fd(found->second->token, fd);
    gone_.push_back(std::move(found->second));
    watches_.erase(found);
  } else if (found != watches_.end()) {
    loop_.modify_fd(found->second->token, fd, events);
  } else if (events != 0) {
    auto made = std::make_unique<Watch>(*this, fd);
    const Result<FdToken> token = loop_.add_fd(fd, events, *made);
    if (!token) return;  // c-ares runs into its timeout
    made->token = *token;
    watches_.emplace(fd, std::move(made));
  }
}

void AresResolver::arm_timeout() {
  timeval left{};
  if (ares_timeout(channel_, nullptr, &left) == nullptr) return timer_.cancel();
  const Duration delay = std::chrono::seconds(left.tv_sec) + std::chrono::microseconds(left.tv_usec);
  loop_.arm<&AresResolver::on_timeout>(timer_, std::max<Duration>(delay, std::chrono::milliseconds(1)), this);
}

bool is_local(std::string_view name) {
  constexpr std::string_view kLocal = ".localhost";
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.size() <= kLocal.size()) return false;
  name.remove_prefix(name.size() - kLocal.size());
  return std::equal(name.begin(), name.end(), kLocal.begin(), [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + ('a' - 'A') : a) == b; });
}

std::unique_ptr<DnsQuery> AresResolver::resolve(const std::string& name, DnsFamily family,
                                                std::function<void(Result<Resolved>)> done) {
  auto* question = new Question{&loop_, std::move(done)};  // deleted in on_answer, which c-ares calls exactly once
  auto query = std::make_unique<Query>(*question);
  question->query = query.get();
  ares_addrinfo_hints hints{};
  hints.ai_family = family == DnsFamily::kV4 ? AF_INET : family == DnsFamily::kV6 ? AF_INET6 : AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = ARES_AI_NOSORT;
  ares_getaddrinfo(channel_, is_local(name) ? "localhost" : name.c_str(), nullptr, &hints, &AresResolver::on_answer, question);
  arm_timeout();
  return query;
}

Result<Resolved> read_answer(int status, const ares_addrinfo* answer) {
  switch (status) {
    case ARES_SUCCESS: break;
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_EBADNAME: return fail(ErrorCode::kNotFound, ares_strerror(status));
    case ARES_ETIMEOUT:
    case ARES_ECONNREFUSED: return fail(ErrorCode::kTimeout, ares_strerror(status));
    default: return fail(ErrorCode::kSystem, ares_strerror(status));
  }
  Resolved resolved;
  std::optional<int> ttl;
  for (const ares_addrinfo_node* node = answer->nodes; node != nullptr; node = node->ai_next) {
    if (resolved.addresses.size() == kResolvedAddressesMax) break;
    SockAddr address;
    if (node->ai_addrlen > sizeof address.storage) continue;
    address.size = node->ai_addrlen;
    std::copy_n(reinterpret_cast<const char*>(node->ai_addr), node->ai_addrlen, reinterpret_cast<char*>(&address.storage));
    resolved.addresses.push_back(from_sockaddr(address));
    ttl = std::min(ttl.value_or(node->ai_ttl), node->ai_ttl);
  }
  if (resolved.addresses.empty()) return fail(ErrorCode::kNotFound, "no address of that family");
  resolved.ttl = std::chrono::seconds(std::max(ttl.value_or(0), 0));
  return resolved;
}

void AresResolver::on_answer(void* argument, int status, int, ares_addrinfo* answer) {
  const std::unique_ptr<Question> question(static_cast<Question*>(argument));
  Result<Resolved> result = read_answer(status, answer);
  if (answer != nullptr) ares_freeaddrinfo(answer);
  if (question->query == nullptr) return;
  // The resolver is going: nobody is told, but the query must not look at the question any more.
  if (status == ARES_EDESTRUCTION) question->done = [](Result<Resolved>) {};
  question->query->answer(*question->loop, std::move(question->done), std::move(result));
}

}  // namespace

Result<std::unique_ptr<Resolver>> make_resolver(EpollLoop& loop, const ResolverOptions& options) {
  auto resolver = std::make_unique<AresResolver>(loop);
  LATEEN_TRY_VOID(resolver->open(options));
  return resolver;
}

}  // namespace lateen::net
