// What served last, kept in one file over restarts: a document that is unreadable after a restart has its last good
// version too, and who was first seen when stays as it was.
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "model/mesh.h"
#include "sources/sources.h"

namespace lateen::sources {

// Whole or not at all (rename). Errors: kSystem.
Result<void> store_memory(const std::string& path, const std::map<model::Key, model::ObjectPtr>& serving);

// A file that is not there is an empty memory. Errors: kInvalidConfig, kSystem; the mesh can go on without.
Result<std::map<model::Key, model::ObjectPtr>> load_memory(const std::string& path);

FirstSeen first_seen_of(const std::map<model::Key, model::ObjectPtr>& serving);

}  // namespace lateen::sources
