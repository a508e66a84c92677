// Result<T>, Error and LATEEN_TRY: how a function says "this input is bad".
//
// Errors are values. A Result is returned for anything the outside world can cause (bad YAML, a NACK, a reset).
// A bug in our own code is not an error: it is a failed LATEEN_CHECK, and the process stops.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace lateen {

// Where a value came from, so that every message and every `explain` line can point at the YAML the user wrote.
struct Origin {
  std::string file;        // as the user named it; empty when the object did not come from a file
  int line = 0;            // 1-based; 0: unknown
  int column = 0;          // 1-based; 0: unknown
  std::string object;      // "VirtualService default/reviews"
  std::string field_path;  // "spec.http[0].route[1].weight"

  bool operator==(const Origin&) const = default;
};

// "file:line:column" (what is known of it), or "" where there is no file.
std::string to_string(const Origin& origin);

enum class ErrorCode { kInvalidConfig, kNotFound, kConflict, kUnsupported, kProtocol, kPeerClosed, kTimeout, kOverLimit, kSystem };

struct Error {
  ErrorCode code = ErrorCode::kInvalidConfig;
  std::string message;  // lower case, no final full stop: it is often joined to others
  Origin origin = {};
};

// "file:line:column: object: field: message", leaving out what is not known.
std::string to_string(const Error& error);

template <class T>
using Result = tl::expected<T, Error>;  // becomes std::expected on the day we move to C++23

inline tl::unexpected<Error> fail(ErrorCode code, std::string message, Origin origin = {}) {
  return tl::unexpected<Error>(Error{code, std::move(message), std::move(origin)});
}

// Binds the value of `expression` to `declaration`, or returns its error.
#define LATEEN_TRY(declaration, expression) \
  LATEEN_TRY_(declaration, expression, LATEEN_JOIN_(try_result_, __LINE__))
// The same for a Result<void>.
#define LATEEN_TRY_VOID(expression)                                                  \
  do {                                                                               \
    if (auto try_result_ = (expression); !try_result_)                               \
      return tl::unexpected<::lateen::Error>(std::move(try_result_).error());        \
  } while (false)
#define LATEEN_TRY_(declaration, expression, temporary)                                  \
  auto temporary = (expression);                                                         \
  if (!temporary) return tl::unexpected<::lateen::Error>(std::move(temporary).error()); \
  declaration = *std::move(temporary)
#define LATEEN_JOIN_(a, b) LATEEN_JOIN2_(a, b)
#define LATEEN_JOIN2_(a, b) a##b

// Always on, also in release builds. For statements that are true unless we have a bug.
#define LATEEN_CHECK(condition)                                                     \
  do {                                                                              \
    if (!(condition)) [[unlikely]]                                                  \
      ::lateen::check_failed(#condition, __FILE__, __LINE__);                       \
  } while (false)
[[noreturn]] void check_failed(const char* text, const char* file, int line);

// The visitor of std::visit: one lambda an alternative, so that a new alternative stops the build.
template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

}  // namespace lateen
