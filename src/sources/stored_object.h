// How an object is kept in a file: a line with its time of creation and where it came from, then the document as it was
// read.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/mesh.h"

namespace lateen::sources {

// "virtual-service.default.reviews.yaml"; what does not belong into a file name is written as %XX.
std::string stored_file_name(const model::Key& key);

std::string stored_text(const model::Object& object);
// The object has the stored time of creation, and the file and lines of the user's file that it came from. Errors: kInvalidConfig with the first problem of the text.
Result<model::ObjectPtr> parse_stored(std::string_view text, std::string_view path);

// RFC 3339 in UTC with nanoseconds, and back.
std::string format_time(WallTime time);
std::optional<WallTime> parse_time(std::string_view text);

}  // namespace lateen::sources
