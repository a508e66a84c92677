#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <openssl/err.h>

#include "stream/buffer.h"
#include "stream/tls_context.h"

namespace lateen::stream {

namespace {

constexpr std::size_t kRecordBytes = 16 * 1024;          // the largest plaintext of a record
constexpr std::size_t kBatchBytes = 4 * kRecordBytes;    // encrypted before the socket beneath is asked to take it
// Of answers to the peer's own records (key updates, alerts) while it reads nothing.
constexpr std::size_t kUnsentBytesMax = 2 * kBatchBytes;
constexpr std::size_t kPiecesMax = 16;

constexpr net::IoResult kBlocked{net::IoStatus::kWouldBlock, 0, 0};

net::IoResult done(std::size_t bytes) { return {net::IoStatus::kOk, bytes, 0}; }
net::IoResult failed(int error) { return {net::IoStatus::kError, 0, error}; }

// Walks over pieces of memory.
class Cursor {
 public:
  explicit Cursor(std::span<const iovec> pieces) : pieces_(pieces) { settle(); }
  bool at_end() const { return pieces_.empty(); }
  bool in_last() const { return pieces_.size() == 1; }
  std::span<const std::byte> piece() const {
    return {static_cast<const std::byte*>(pieces_.front().iov_base) + offset_, pieces_.front().iov_len - offset_};
  }
  void advance(std::size_t bytes) {
    while (bytes > 0 && !at_end()) {
      const std::size_t step = std::min(bytes, pieces_.front().iov_len - offset_);
      offset_ += step;
      bytes -= step;
      settle();
    }
  }

 private:
  void settle() {
    while (!pieces_.empty() && offset_ == pieces_.front().iov_len) {
      pieces_ = pieces_.subspan(1);
      offset_ = 0;
    }
  }
  std::span<const iovec> pieces_;
  std::size_t offset_ = 0;
};

class OpenSslSocket final : public TlsSocket, private TlsConnection, private net::SocketEvents {
 public:
  OpenSslSocket(net::Loop& loop, std::unique_ptr<net::Socket> beneath, std::shared_ptr<const TlsContext> context,
                const TlsConnectOptions& options, net::SocketEvents& events)
      : loop_(loop),
        beneath_(std::move(beneath)),
        owned_context_(std::move(context)),
        context_(static_cast<const SslContext&>(*owned_context_)),
        verify_name_(options.verify_name),
        session_key_(options.session_key + "|" + options.server_name + "|" + options.verify_name),
        events_(&events),
        ssl_(SSL_new(context_.get())) {
    LATEEN_CHECK(ssl_ != nullptr);
    BIO* bio = BIO_new(method());
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_.get(), bio, bio);
    SSL_set_app_data(ssl_.get(), static_cast<TlsConnection*>(this));
    if (context_.is_server()) {
      SSL_set_accept_state(ssl_.get());
      return;
    }
    SSL_set_connect_state(ssl_.get());
    if (!verify_name_.empty()) SSL_set_verify(ssl_.get(), SSL_VERIFY_PEER, nullptr);   // also where there is no trust: see verify_peer
    if (!options.server_name.empty()) SSL_set_tlsext_host_name(ssl_.get(), options.server_name.c_str());
    if (const SessionOwner session = context_.sessions().take(session_key_)) SSL_set_session(ssl_.get(), session.get());
  }
  ~OpenSslSocket() override {
    if (state_ == State::kOpen && !reset_on_close_ && !write_shut_ && unsent_.empty()) {
      end_sent_ = true;   // closing says it
      say_goodbye();
    }
    // Otherwise the library takes the session for broken, and never resumes it.
    if (state_ == State::kOpen) SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  }

  // `timeout` zero: none.
  void start(bool connected, Duration timeout) {
    if (timeout > Duration::zero()) loop_.arm<&OpenSslSocket::on_timeout>(timer_, timeout, this);
    if (connected) state_ = State::kHandshake;
    beneath_->set_events(this);
    // The first word is the client's.
    if (connected && !context_.is_server()) loop_.arm<&OpenSslSocket::handshake>(soon_, Duration::zero(), this);
  }

  void set_events(net::SocketEvents* events) override {
    events_ = events;
    if (events != nullptr && state_ != State::kWaiting && state_ != State::kHandshake && !soon_.armed()) {
      loop_.arm<&OpenSslSocket::redeliver>(soon_, Duration::zero(), this);
    }
  }
  net::IoResult read(std::span<std::byte> into) override {
    const iovec piece{into.data(), into.size()};
    return readv({&piece, 1});
  }
  net::IoResult readv(std::span<const iovec> into) override;
  net::IoResult writev(std::span<const iovec> from) override;
  net::IoResult peek(std::span<std::byte> into) override;
  void shutdown_write() override {
    if (write_shut_ || state_ != State::kOpen) return;
    write_shut_ = true;
    if (flush()) say_goodbye();
  }
  void reset_on_close() override {
    reset_on_close_ = true;
    beneath_->reset_on_close();
  }
  net::Address local_address() const override { return beneath_->local_address(); }
  net::Address remote_address() const override { return beneath_->remote_address(); }
  void set_keepalive(Duration idle, Duration interval, int probes) override {
    beneath_->set_keepalive(idle, interval, probes);
  }
  std::string_view application_protocol() const override {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &name, &size);
    return {reinterpret_cast<const char*>(name), size};
  }

  bool established() const override { return established_; }
  TlsOutcome outcome() const override { return outcome_; }
  std::string_view failure() const override { return failure_; }
  std::string_view version() const override { return SSL_get_version(ssl_.get()); }
  std::string_view cipher() const override {
    const char* name = SSL_get_cipher_name(ssl_.get());
    return name == nullptr ? std::string_view() : std::string_view(name);
  }
  std::string_view curve() const override;
  std::string_view server_name() const override {
    const char* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
    return name == nullptr ? std::string_view() : std::string_view(name);
  }
  bool resumed() const override { return SSL_session_reused(ssl_.get()) == 1; }
  std::string session_id() const override {
    const SSL_SESSION* session = SSL_get_session(ssl_.get());
    if (session == nullptr) return {};
    unsigned size = 0;
    const unsigned char* id = SSL_SESSION_get_id(session, &size);
    return to_hex({reinterpret_cast<const char*>(id), size});
  }
  const TlsCertificateFacts* peer_certificate() const override {
    if (peer_) return &*peer_;
    X509* certificate = SSL_get0_peer_certificate(ssl_.get());
    if (certificate == nullptr) return nullptr;
    return &peer_.emplace(certificate_facts(*certificate, SSL_get_peer_cert_chain(ssl_.get())));
  }
  const TlsCertificateFacts* local_certificate() const override {
    if (local_) return &*local_;
    X509* certificate = SSL_get_certificate(ssl_.get());
    if (certificate == nullptr) return nullptr;
    return &local_.emplace(certificate_facts(*certificate, nullptr));
  }
  bool peer_verified() const override {
    return SSL_get0_peer_certificate(ssl_.get()) != nullptr && context_.verifies_chain() &&
           SSL_get_verify_result(ssl_.get()) == X509_V_OK;
  }

 private:
  enum class State : std::uint8_t { kWaiting, kHandshake, kOpen, kDead };

  static BIO_METHOD* method();
  static OpenSslSocket& of(BIO* bio) { return *static_cast<OpenSslSocket*>(BIO_get_data(bio)); }
  static int bio_write(BIO* bio, const char* data, int size);
  static int bio_read(BIO* bio, char* into, int size);
  static long bio_control(BIO* bio, int command, long, void*);

  const SslContext& context() const override { return context_; }
  const std::string& verify_name() const override { return verify_name_; }
  const std::string& session_key() const override { return session_key_; }
  void note_verify_failure(TlsOutcome outcome, std::string text) override {
    verify_outcome_ = outcome;
    verify_failure_ = std::move(text);
  }

  void on_connected() override {
    if (state_ != State::kWaiting) return;
    state_ = State::kHandshake;
    handshake();
  }
  void on_readable() override {
    on_connected_beneath();
    if (state_ == State::kHandshake) return handshake();
    if (state_ != State::kOpen) return;
    readable_ = true;
    if (events_ != nullptr) events_->on_readable();
  }
  void on_writable() override;
  void on_socket_error(int error) override { die(error); }
  void on_timeout() {
    outcome_ = TlsOutcome::kTimeout;
    failure_ = "transport socket timeout";
    die(ETIMEDOUT);
  }
  void on_connected_beneath() {
    if (state_ == State::kWaiting) state_ = State::kHandshake;
  }

  void handshake();
  void refuse();
  void die(int error);
  void redeliver();
  net::IoResult read_failed(int result);
  std::size_t encrypt(Cursor& cursor);
  bool flush();
  void say_goodbye();

  net::Loop& loop_;
  std::unique_ptr<net::Socket> beneath_;
  const std::shared_ptr<const TlsContext> owned_context_;
  const SslContext& context_;
  const std::string verify_name_, session_key_;
  net::SocketEvents* events_;
  State state_ = State::kWaiting;
  bool readable_ = false;            // a read may return something
  bool write_blocked_ = false;       // a write was refused; on_writable is owed
  bool write_shut_ = false, goodbye_said_ = false, end_sent_ = false, end_beneath_ = false;
  bool reset_on_close_ = false, established_ = false;
  int error_ = 0;                    // why it is dead
  TlsOutcome outcome_ = TlsOutcome::kOpen, verify_outcome_ = TlsOutcome::kOpen;
  std::string failure_, verify_failure_;
  std::size_t handshake_bytes_ = 0;
  Buffer unsent_;                    // encrypted, and not with the socket beneath
  std::size_t ahead_ = 0;            // bytes of the next writev() that are in unsent_ already
  mutable std::optional<TlsCertificateFacts> peer_, local_;
  net::Timer timer_, soon_;
  const std::shared_ptr<const int> alive_ = std::make_shared<const int>(0);
  SslOwner ssl_;                     // last: its end writes nothing, but may look at the rest
};

// ---- what OpenSSL reads and writes --------------------------------------------------------------------------------

BIO_METHOD* OpenSslSocket::method() {
  static BIO_METHOD* const made = [] {
    BIO_METHOD* of = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "lateen socket");
    BIO_meth_set_write(of, &OpenSslSocket::bio_write);
    BIO_meth_set_read(of, &OpenSslSocket::bio_read);
    BIO_meth_set_ctrl(of, &OpenSslSocket::bio_control);
    return of;
  }();
  return made;
}

int OpenSslSocket::bio_write(BIO* bio, const char* data, int size) {
  of(bio).unsent_.append_copy({data, static_cast<std::size_t>(size)});
  return size;
}

int OpenSslSocket::bio_read(BIO* bio, char* into, int size) {
  OpenSslSocket& self = of(bio);
  BIO_clear_retry_flags(bio);
  if (self.state_ == State::kHandshake && self.handshake_bytes_ >= kTlsHandshakeBytesMax) return -1;
  const net::IoResult result =
      self.beneath_->read({reinterpret_cast<std::byte*>(into), static_cast<std::size_t>(size)});
  switch (result.status) {
    case net::IoStatus::kOk:
      if (self.state_ == State::kHandshake) self.handshake_bytes_ += result.bytes;
      return static_cast<int>(result.bytes);
    case net::IoStatus::kWouldBlock: BIO_set_retry_read(bio); return -1;
    case net::IoStatus::kEnd: self.end_beneath_ = true; return 0;
    case net::IoStatus::kError: self.error_ = result.error; return -1;
  }
  return -1;
}

long OpenSslSocket::bio_control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_EOF) return of(bio).end_beneath_ ? 1 : 0;
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

// True: nothing is left, or the socket beneath is dead.
bool OpenSslSocket::flush() {
  while (!unsent_.empty()) {
    std::array<iovec, kPiecesMax> pieces;
    const std::size_t count = unsent_.fill_iovec(pieces);
    const net::IoResult result = beneath_->writev(std::span(pieces).first(count));
    if (result.status == net::IoStatus::kWouldBlock) return false;
    if (result.status != net::IoStatus::kOk) {
      unsent_.clear();
      error_ = result.error != 0 ? result.error : EPIPE;
      return true;
    }
    unsent_.remove_prefix(result.bytes);
  }
  return true;
}

// ---- handshake ------------------------------------------------------------------------------------------------------

void OpenSslSocket::handshake() {
  if (state_ != State::kHandshake) return;
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  const int error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), result);
  if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ) return refuse();
  flush();
  if (error_ != 0) return die(error_);
  if (unsent_.size() > kUnsentBytesMax) return refuse();
  if (error == SSL_ERROR_WANT_READ) return;
  timer_.cancel();
  state_ = State::kOpen;
  established_ = true;
  readable_ = true;   // what came behind the handshake may be in the library already
  const std::weak_ptr<const int> alive = alive_;
  if (events_ != nullptr) events_->on_connected();
  if (alive.expired()) return;
  if (events_ != nullptr && state_ == State::kOpen && !soon_.armed()) {
    loop_.arm<&OpenSslSocket::redeliver>(soon_, Duration::zero(), this);
  }
}

// The library has said no, or the peer; the alert that tells the peer is among what is unsent.
void OpenSslSocket::refuse() {
  const std::string errors = take_tls_errors();
  outcome_ = TlsOutcome::kConnectionError;
  if (verify_outcome_ != TlsOutcome::kOpen) outcome_ = verify_outcome_;
  if (errors.find("PEER_DID_NOT_RETURN_A_CERTIFICATE") != std::string::npos) outcome_ = TlsOutcome::kNoCertificate;
  if (!errors.empty() && error_ == 0) {
    failure_ = "TLS_error:" + errors + (verify_failure_.empty() ? "" : ":" + verify_failure_) + ":TLS_error_end";
  }
  if (handshake_bytes_ >= kTlsHandshakeBytesMax) failure_ = "TLS handshake of more than " + std::to_string(kTlsHandshakeBytesMax) + " bytes";
  const int error = error_;
  flush();
  die(error != 0 ? error : ECONNRESET);
}

void OpenSslSocket::die(int error) {
  if (state_ == State::kDead) return;
  if (!established_ && outcome_ == TlsOutcome::kOpen) outcome_ = TlsOutcome::kConnectionError;
  state_ = State::kDead;
  error_ = error != 0 ? error : ECONNRESET;
  timer_.cancel();
  unsent_.clear();
  if (events_ != nullptr) events_->on_socket_error(error_);   // may destroy this object
}

void OpenSslSocket::redeliver() {
  if (state_ == State::kHandshake) return handshake();
  if (events_ == nullptr) return;
  if (state_ == State::kDead) return events_->on_socket_error(error_);
  if (write_blocked_ && unsent_.empty()) {
    write_blocked_ = false;
    const std::weak_ptr<const int> alive = alive_;
    events_->on_writable();
    if (alive.expired()) return;
  }
  if (readable_ && events_ != nullptr) events_->on_readable();
}

// ---- the open connection --------------------------------------------------------------------------------------------

void OpenSslSocket::on_writable() {
  if (state_ == State::kWaiting) return on_connected();
  if (!flush()) return;
  if (state_ == State::kHandshake) return handshake();
  if (state_ != State::kOpen) return;
  if (write_shut_) say_goodbye();
  if (std::exchange(write_blocked_, false) && events_ != nullptr) events_->on_writable();
}

net::IoResult OpenSslSocket::read_failed(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      readable_ = false;
      return kBlocked;
    case SSL_ERROR_ZERO_RETURN: return {net::IoStatus::kEnd, 0, 0};
    default: break;
  }
  const std::string errors = take_tls_errors();
  if (!end_beneath_ && error_ == 0) failure_ = "TLS_error:" + errors + ":TLS_error_end";
  if (error_ == 0) error_ = ECONNRESET;   // cut without close_notify, or broken
  flush();
  unsent_.clear();
  state_ = State::kDead;
  return failed(error_);
}

net::IoResult OpenSslSocket::readv(std::span<const iovec> into) {
  if (state_ == State::kDead) return failed(error_);
  if (state_ != State::kOpen) return kBlocked;
  std::size_t total = 0;
  net::IoResult last = kBlocked;
  ERR_clear_error();
  for (const iovec& piece : into) {
    std::size_t filled = 0;
    while (filled < piece.iov_len) {
      std::size_t bytes = 0;
      const int result = SSL_read_ex(ssl_.get(), static_cast<char*>(piece.iov_base) + filled, piece.iov_len - filled, &bytes);
      if (result == 1) {
        filled += bytes;
        continue;
      }
      total += filled;
      last = read_failed(result);
      if (!unsent_.empty()) flush();
      if (unsent_.size() > kUnsentBytesMax && state_ == State::kOpen) {
        state_ = State::kDead;
        error_ = EPROTO;
      }
      return total > 0 ? done(total) : last;
    }
    total += filled;
  }
  return total > 0 ? done(total) : last;
}

// Sees no further than the record that is read at the moment.
net::IoResult OpenSslSocket::peek(std::span<std::byte> into) {
  if (state_ == State::kDead) return failed(error_);
  if (state_ != State::kOpen) return kBlocked;
  ERR_clear_error();
  std::size_t bytes = 0;
  const int result = SSL_peek_ex(ssl_.get(), into.data(), into.size(), &bytes);
  return result == 1 ? done(bytes) : read_failed(result);
}

// Makes records of up to kBatchBytes; small pieces are put together into one record. How many bytes went in.
std::size_t OpenSslSocket::encrypt(Cursor& cursor) {
  static thread_local std::array<std::byte, kRecordBytes> gathered;
  std::size_t batch = 0;
  while (batch < kBatchBytes && !cursor.at_end()) {
    std::span<const std::byte> record = cursor.piece();
    if (record.size() >= kRecordBytes || cursor.in_last()) {
      record = record.first(std::min(record.size(), kRecordBytes));
      cursor.advance(record.size());
    } else {
      std::size_t size = 0;
      while (size < kRecordBytes && !cursor.at_end()) {
        const std::span<const std::byte> piece = cursor.piece();
        const std::size_t count = std::min(piece.size(), kRecordBytes - size);
        std::memcpy(gathered.data() + size, piece.data(), count);
        size += count;
        cursor.advance(count);
      }
      record = std::span(gathered).first(size);
    }
    std::size_t written = 0;
    // unsent_ takes everything, so that a record is never half done.
    if (SSL_write_ex(ssl_.get(), record.data(), record.size(), &written) != 1) {
      take_tls_errors();
      error_ = EPIPE;
      return batch;
    }
    batch += written;
  }
  return batch;
}

net::IoResult OpenSslSocket::writev(std::span<const iovec> from) {
  if (state_ == State::kDead) return failed(error_);
  if (write_shut_) return failed(EPIPE);
  if (state_ != State::kOpen || !flush()) {
    write_blocked_ = true;
    return kBlocked;
  }
  if (error_ != 0) return failed(error_);
  std::size_t offered = 0;
  for (const iovec& piece : from) offered += piece.iov_len;
  std::size_t accepted = std::min(ahead_, offered);
  ahead_ -= accepted;
  Cursor cursor(from);
  cursor.advance(accepted);
  ERR_clear_error();
  while (!cursor.at_end()) {
    const std::size_t batch = encrypt(cursor);
    const bool all = flush();
    if (error_ != 0) return accepted > 0 ? done(accepted) : failed(error_);
    if (!all) {
      // What the caller offers again is skipped then: only what is with the socket beneath counts as taken.
      ahead_ = batch;
      write_blocked_ = true;
      return accepted > 0 ? done(accepted) : kBlocked;
    }
    accepted += batch;
  }
  return done(accepted);
}

// close_notify, and our end of the socket beneath once that is out.
void OpenSslSocket::say_goodbye() {
  if (error_ != 0) return;
  ERR_clear_error();
  if (!std::exchange(goodbye_said_, true)) SSL_shutdown(ssl_.get());
  ERR_clear_error();
  if (flush() && error_ == 0 && !std::exchange(end_sent_, true)) beneath_->shutdown_write();
}

std::string_view OpenSslSocket::curve() const {
  const long id = SSL_get_negotiated_group(ssl_.get());
  switch (id) {
    case NID_X25519: return "X25519";
    case NID_X9_62_prime256v1: return "P-256";
    case NID_secp384r1: return "P-384";
    case NID_secp521r1: return "P-521";
    default: return {};
  }
}

}  // namespace

std::unique_ptr<TlsSocket> accept_tls(net::Loop& loop, std::unique_ptr<net::Socket> beneath,
                                      std::shared_ptr<const TlsContext> context, net::SocketEvents& events,
                                      Duration timeout) {
  auto socket = std::make_unique<OpenSslSocket>(loop, std::move(beneath), std::move(context), TlsConnectOptions(), events);
  socket->start(true, timeout > Duration::zero() ? timeout : kTlsHandshakeTimeout);
  return socket;
}

std::unique_ptr<TlsSocket> start_tls(net::Loop& loop, std::unique_ptr<net::Socket> beneath, bool connected,
                                     std::shared_ptr<const TlsContext> context, const TlsConnectOptions& options,
                                     net::SocketEvents& events) {
  auto socket = std::make_unique<OpenSslSocket>(loop, std::move(beneath), std::move(context), options, events);
  socket->start(connected, Duration::zero());
  return socket;
}

}  // namespace lateen::stream
