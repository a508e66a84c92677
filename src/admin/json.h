// The JSON of Lateen's own pages, written in one place and read by the commands.
#pragma once

#include "admin/backend.h"
#include "text/json_writer.h"

namespace lateen::admin {

// "in effect", "NOT IN EFFECT", "pending", "refused".
std::string_view words(admit::Standing standing);

void write(text::JsonWriter& json, const Diagnostic& diagnostic);
void write(text::JsonWriter& json, const std::vector<Diagnostic>& diagnostics);
void write(text::JsonWriter& json, const admit::Status& status);
void write(text::JsonWriter& json, const ObjectOutcome& outcome);
// With the columns that kubectl shows for its kind; `with_text`: also the document as it was written.
enum class WithText : bool { kNo, kYes };
void write(text::JsonWriter& json, const ObjectPage& page, WallTime now, WithText with_text);

// "virtualservice.networking.istio.io", "service", "endpointslice.discovery.k8s.io".
std::string resource_name(model::Kind kind);

// Envoy's form of a wall time: "2026-11-23T02:59:14.819Z".
std::string format_time(WallTime time);

}  // namespace lateen::admin
