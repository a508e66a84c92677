// metadata of every kind.
#pragma once

#include "model/common.h"
#include "model/reader.h"

namespace lateen::model {

// "2026-01-01T00:00:00Z", "2026-01-01T01:00:00.5+01:00".
std::optional<WallTime> parse_time(std::string_view text);
std::string format_time(WallTime time);   // "2026-01-01T00:00:00Z", whole seconds, as Kubernetes writes it

// Reads `metadata` of a document; the reader stands at the document's root.
Metadata read_metadata(Reader& reader, const text::Node& document, bool namespaced);

}  // namespace lateen::model
