#include "http/headers.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <new>
#include <utility>

#include "base/result.h"

namespace lateen::http {

// ---- well-known names -----------------------------------------------------------------------------------------------

namespace {

// In the order of HeaderId; kOther and kXEnvoyOther stand for many names and have none of their own.
constexpr std::array<std::string_view, static_cast<std::size_t>(HeaderId::kGrpcMessage) + 1> kNames = {
    "", "host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "keep-alive",
    "proxy-connection", "expect", "date", "server", "content-type", "user-agent", "referer", "cookie", "set-cookie",
    "via", "location", "authorization", "proxy-authorization", "proxy-authenticate", "x-forwarded-for",
    "x-forwarded-proto", "x-forwarded-host", "x-request-id", "x-envoy-attempt-count", "x-envoy-expected-rq-timeout-ms",
    "x-envoy-upstream-service-time", "x-envoy-upstream-rq-timeout-ms", "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-envoy-retry-on", "x-envoy-max-retries", "x-envoy-overloaded", "x-envoy-decorator-operation",
    "x-envoy-external-address", "x-envoy-internal", "x-envoy-original-path", "", "grpc-status", "grpc-message",
};
constexpr std::size_t kSlots = 256;
constexpr std::string_view kEnvoyPrefix = "x-envoy-";

// Length, last byte and the byte in the middle tell the known names apart; the seed is searched for at compile time.
constexpr std::size_t slot_of(std::string_view name, std::size_t seed) {
  const auto byte = [name](std::size_t at) { return static_cast<std::size_t>(static_cast<unsigned char>(name[at])); };
  const std::size_t mixed = name.size() * 131 + byte(name.size() - 1) * 31 + byte(name.size() / 2) * 7 + byte(0);
  return ((mixed * seed) >> 8) % kSlots;
}

constexpr bool separates(std::size_t seed) {
  std::array<bool, kSlots> taken{};
  for (std::string_view name : kNames) {
    if (name.empty()) continue;
    bool& slot = taken[slot_of(name, seed)];
    if (slot) return false;
    slot = true;
  }
  return true;
}

constexpr std::size_t find_seed() {
  for (std::size_t seed = 1; seed < 20000; seed += 2) {
    if (separates(seed)) return seed;
  }
  return 0;
}

constexpr std::size_t kSeed = find_seed();
static_assert(kSeed != 0, "no seed separates the names: change slot_of");

constexpr std::array<std::uint8_t, kSlots> make_table() {
  std::array<std::uint8_t, kSlots> table{};
  for (std::size_t id = 0; id < kNames.size(); ++id) {
    if (!kNames[id].empty()) table[slot_of(kNames[id], kSeed)] = static_cast<std::uint8_t>(id);
  }
  return table;
}

constexpr std::array<std::uint8_t, kSlots> kTable = make_table();

}  // namespace

HeaderId header_id(std::string_view name) {
  if (name.empty()) return HeaderId::kOther;
  const std::uint8_t id = kTable[slot_of(name, kSeed)];
  if (id != 0 && kNames[id] == name) return static_cast<HeaderId>(id);
  return name.starts_with(kEnvoyPrefix) ? HeaderId::kXEnvoyOther : HeaderId::kOther;
}

std::string_view header_name(HeaderId id) { return kNames[static_cast<std::size_t>(id)]; }

// ---- storage --------------------------------------------------------------------------------------------------------

namespace {

constexpr std::size_t kBlockBytes = 2048;       // of an ordinary block, with its head
constexpr std::size_t kFieldsReserved = 32;     // most messages have fewer fields
constexpr std::size_t kFieldsKept = 256;        // a larger vector is freed and not kept
constexpr std::size_t kSpareMax = 64;           // vectors, and blocks, that a thread keeps

}  // namespace

struct HeaderMap::Block {
  Block* next = nullptr;
  std::size_t capacity = 0;
  std::size_t used = 0;
  char* bytes() { return reinterpret_cast<char*>(this + 1); }

  static Block* make(std::size_t capacity) {
    void* memory = ::operator new(sizeof(Block) + capacity);
    Block* block = new (memory) Block;
    block->capacity = capacity;
    return block;
  }
};

// What the thread's maps have given back. Never destroyed before the last map of the thread: see `spare()`.
struct HeaderMap::Storage {
  std::array<std::vector<Header>, kSpareMax> vectors;
  std::size_t vector_count = 0;
  Block* blocks = nullptr;
  std::size_t block_count = 0;

  ~Storage() {
    gone() = true;
    while (blocks != nullptr) ::operator delete(std::exchange(blocks, blocks->next));
  }

  // Maps with static storage may die after the thread's lists: then there is nothing to give back to.
  static bool& gone() {
    thread_local bool value = false;
    return value;
  }
  static Storage* spare() {
    if (gone()) return nullptr;
    thread_local Storage storage;
    return &storage;
  }

  static Block* take_block(std::size_t bytes) {
    constexpr std::size_t kOrdinary = kBlockBytes - sizeof(Block);
    if (bytes > kOrdinary) return Block::make(bytes);
    Storage* storage = spare();
    if (storage == nullptr || storage->blocks == nullptr) return Block::make(kOrdinary);
    --storage->block_count;
    Block* block = std::exchange(storage->blocks, storage->blocks->next);
    block->used = 0;
    return block;
  }

  static void give_back(Block* block) {
    Storage* storage = spare();
    if (storage == nullptr || storage->block_count == kSpareMax || block->capacity + sizeof(Block) != kBlockBytes) {
      ::operator delete(block);
      return;
    }
    block->next = std::exchange(storage->blocks, block);
    ++storage->block_count;
  }
};

HeaderMap::HeaderMap(HeaderMap&& other) noexcept
    : fields_(std::move(other.fields_)), arena_(std::exchange(other.arena_, nullptr)) {
  other.fields_.clear();
}

HeaderMap& HeaderMap::operator=(HeaderMap&& other) noexcept {
  if (this == &other) return *this;
  release();
  fields_ = std::move(other.fields_);
  other.fields_.clear();
  arena_ = std::exchange(other.arena_, nullptr);
  return *this;
}

HeaderMap::~HeaderMap() { release(); }

void HeaderMap::release() {
  while (arena_ != nullptr) {
    Block* block = std::exchange(arena_, arena_->next);
    Storage::give_back(block);
  }
  if (fields_.capacity() == 0) return;
  fields_.clear();
  Storage* storage = fields_.capacity() <= kFieldsKept ? Storage::spare() : nullptr;
  if (storage != nullptr && storage->vector_count < kSpareMax) {
    storage->vectors[storage->vector_count++] = std::move(fields_);
  }
  fields_ = {};
}

void HeaderMap::clear() {
  fields_.clear();
  if (arena_ == nullptr) return;
  while (arena_->next != nullptr) {
    Block* block = std::exchange(arena_, arena_->next);
    Storage::give_back(block);
  }
  arena_->used = 0;
}

std::string_view HeaderMap::keep(std::string_view bytes) {
  if (bytes.empty()) return {};
  if (arena_ == nullptr || arena_->capacity - arena_->used < bytes.size()) {
    Block* block = Storage::take_block(bytes.size());
    block->next = std::exchange(arena_, block);
  }
  char* at = arena_->bytes() + arena_->used;
  std::memcpy(at, bytes.data(), bytes.size());
  arena_->used += bytes.size();
  return {at, bytes.size()};
}

void HeaderMap::push(std::string_view name, std::string_view value, HeaderId id) {
  if (fields_.capacity() == 0) {
    Storage* storage = Storage::spare();
    if (storage != nullptr && storage->vector_count > 0) {
      fields_ = std::move(storage->vectors[--storage->vector_count]);
    } else {
      fields_.reserve(kFieldsReserved);
    }
  }
  fields_.push_back(Header{name, value, id});
}

// ---- fields ---------------------------------------------------------------------------------------------------------

void HeaderMap::add_reference(std::string_view name, std::string_view value) { push(name, value, header_id(name)); }

void HeaderMap::add_reference(HeaderId id, std::string_view value) {
  LATEEN_CHECK(!header_name(id).empty());
  push(header_name(id), value, id);
}

void HeaderMap::add(std::string_view name, std::string_view value) {
  const HeaderId id = header_id(name);
  const std::string_view known = header_name(id);
  push(known.empty() ? keep(name) : known, keep(value), id);
}

void HeaderMap::add(HeaderId id, std::string_view value) {
  LATEEN_CHECK(!header_name(id).empty());
  push(header_name(id), keep(value), id);
}

void HeaderMap::set(std::string_view name, std::string_view value) {
  const HeaderId id = header_id(name);
  if (!header_name(id).empty()) return set(id, value);
  const auto first = std::find_if(fields_.begin(), fields_.end(), [&](const Header& h) { return h.name == name; });
  if (first == fields_.end()) return add(name, value);
  first->value = keep(value);
  fields_.erase(std::remove_if(first + 1, fields_.end(), [&](const Header& h) { return h.name == name; }),
                fields_.end());
}

void HeaderMap::set(HeaderId id, std::string_view value) {
  LATEEN_CHECK(!header_name(id).empty());
  const auto first = std::find_if(fields_.begin(), fields_.end(), [&](const Header& h) { return h.id == id; });
  if (first == fields_.end()) return add(id, value);
  first->value = keep(value);
  fields_.erase(std::remove_if(first + 1, fields_.end(), [&](const Header& h) { return h.id == id; }), fields_.end());
}

std::size_t HeaderMap::remove(std::string_view name) {
  return remove_if([name](const Header& h) { return h.name == name; });
}

std::size_t HeaderMap::remove(HeaderId id) {
  LATEEN_CHECK(id != HeaderId::kOther);
  return remove_if([id](const Header& h) { return h.id == id; });
}

std::optional<std::string_view> HeaderMap::get(std::string_view name) const {
  for (const Header& h : fields_) {
    if (h.name == name) return h.value;
  }
  return std::nullopt;
}

std::optional<std::string_view> HeaderMap::get(HeaderId id) const {
  for (const Header& h : fields_) {
    if (h.id == id) return h.value;
  }
  return std::nullopt;
}

bool HeaderMap::has(HeaderId id) const {
  return std::any_of(fields_.begin(), fields_.end(), [id](const Header& h) { return h.id == id; });
}

std::size_t HeaderMap::count(std::string_view name) const {
  return static_cast<std::size_t>(
      std::count_if(fields_.begin(), fields_.end(), [name](const Header& h) { return h.name == name; }));
}

HeaderMap HeaderMap::copy() const {
  HeaderMap map;
  for (const Header& h : fields_) {
    const std::string_view known = header_name(h.id);
    map.push(known.empty() ? map.keep(h.name) : known, map.keep(h.value), h.id);
  }
  return map;
}

void HeaderMap::rebase(const char* from, std::size_t size, const char* to) {
  const auto move = [=](std::string_view& text) {
    // Pointers into different arrays are compared by std::less, which orders them all.
    const std::less_equal<const char*> before;
    if (text.data() != nullptr && before(from, text.data()) && before(text.data() + text.size(), from + size)) {
      text = {to + (text.data() - from), text.size()};
    }
  };
  for (Header& h : fields_) {
    move(h.name);
    move(h.value);
  }
}

}  // namespace lateen::http
