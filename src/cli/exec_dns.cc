#include <arpa/inet.h>

#include <cctype>

#include "cli/exec_names.h"

namespace lateen::cli {

namespace {

// RFC 1035: sizes of 2.3.4, layout of 4.1.
constexpr std::size_t kHeaderBytes = 12;
constexpr std::size_t kLabelBytesMax = 63;
constexpr std::size_t kNameBytesMax = 253;
constexpr std::size_t kAnswersMax = 8;           // keeps an answer within the 512 bytes of plain DNS
constexpr unsigned kTypeA = 1, kTypeAaaa = 28, kClassInternet = 1;
constexpr unsigned kNoError = 0, kNotImplemented = 4, kNameError = 3;
constexpr unsigned kTtlSeconds = 1;              // services come and go

unsigned read16(std::string_view bytes, std::size_t at) {
  return (static_cast<unsigned>(static_cast<unsigned char>(bytes[at])) << 8U) | static_cast<unsigned char>(bytes[at + 1]);
}

void append16(std::string& out, unsigned value) {
  out += static_cast<char>((value >> 8U) & 0xFFU);
  out += static_cast<char>(value & 0xFFU);
}

struct Question {
  std::string name;     // lower case, without the final dot
  unsigned type = 0;
  unsigned class_ = 0;
  std::size_t end = 0;  // where the question section ends
};

std::optional<Question> read_question(std::string_view query) {
  Question question;
  std::size_t at = kHeaderBytes;
  for (;;) {
    if (at >= query.size()) return std::nullopt;
    const auto length = static_cast<unsigned char>(query[at++]);
    if (length == 0) break;
    if (length > kLabelBytesMax || at + length > query.size()) return std::nullopt;
    if (!question.name.empty()) question.name += '.';
    for (const char c : query.substr(at, length)) question.name += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (question.name.size() > kNameBytesMax) return std::nullopt;
    at += length;
  }
  if (at + 4 > query.size()) return std::nullopt;
  question.type = read16(query, at);
  question.class_ = read16(query, at + 2);
  question.end = at + 4;
  return question;
}

void append_answer(std::string& out, unsigned type, std::string_view data) {
  append16(out, 0xC000U | kHeaderBytes);  // the name of the question
  append16(out, type);
  append16(out, kClassInternet);
  append16(out, 0);
  append16(out, kTtlSeconds);
  append16(out, static_cast<unsigned>(data.size()));
  out += data;
}

std::vector<std::string> address_bytes(const std::vector<std::string>& addresses, unsigned type) {
  std::vector<std::string> found;
  const int family = type == kTypeA ? AF_INET : AF_INET6;
  for (const std::string& address : addresses) {
    char bytes[sizeof(in6_addr)];
    if (found.size() < kAnswersMax && ::inet_pton(family, address.c_str(), bytes) == 1) {
      found.emplace_back(bytes, type == kTypeA ? sizeof(in_addr) : sizeof(in6_addr));
    }
  }
  return found;
}

std::string reply_header(std::string_view query, unsigned code, std::size_t answers) {
  std::string out(query.substr(0, 2));
  const unsigned recursion_desired = read16(query, 2) & 0x0100U;
  append16(out, 0x8480U | recursion_desired | code);  // a response, authoritative, recursion available
  append16(out, 1);
  append16(out, static_cast<unsigned>(answers));
  append16(out, 0);
  append16(out, 0);
  return out;
}

}  // namespace

std::optional<DnsReply> answer_dns(std::string_view query, const ExecNames& names) {
  if (query.size() < kHeaderBytes || (read16(query, 2) & 0x8000U) != 0 || read16(query, 4) != 1) return std::nullopt;
  const auto question = read_question(query);
  if (!question) return std::nullopt;
  const std::string_view asked = query.substr(kHeaderBytes, question->end - kHeaderBytes);
  const auto reply = [&](unsigned code) { return DnsReply{reply_header(query, code, 0).append(asked), {}}; };
  const bool is_plain_query = (read16(query, 2) & 0x7800U) == 0;
  if (!is_plain_query || question->class_ != kClassInternet) return reply(kNotImplemented);

  const ExecService* service = names.by_host(question->name);
  const bool is_localhost = question->name == "localhost" || question->name.ends_with(".localhost");
  if (service == nullptr && !is_localhost) {
    DnsReply refusal = reply(kNameError);
    const bool by_user = question->type == kTypeA && !question->name.empty() && !names.in_search_domain(question->name);
    if (by_user) refusal.unknown_name = question->name;
    return refusal;
  }
  if (question->type != kTypeA && question->type != kTypeAaaa) return reply(kNoError);
  static const std::vector<std::string> kLocal = {"127.0.0.1", "::1"};
  const auto found = address_bytes(service != nullptr ? service->addresses : kLocal, question->type);
  DnsReply answer{reply_header(query, kNoError, found.size()).append(asked), {}};
  for (const std::string& data : found) append_answer(answer.bytes, question->type, data);
  return answer;
}

}  // namespace lateen::cli
