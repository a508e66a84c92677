// Joins what all sources have into what admit() is asked about. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/diagnostics.h"
#include "model/mesh.h"
#include "sources/sources.h"

namespace lateen::sources {

struct Joined {
  std::map<model::Key, model::ObjectPtr> objects;
  std::vector<Diagnostic> problems;                  // documents that gave no object, clashes, warnings of reading
  std::map<model::Key, Diagnostic> unreadable;       // keys whose current document cannot be read
  std::vector<model::Ignored> ignored;
};

struct Inputs {
  const std::map<std::string, Directory::File>& files;
  const std::map<model::Key, model::ObjectPtr>& applied;
  const std::map<model::Key, model::ObjectPtr>& registered;
  // What served until now: tells which objects an unreadable file had.
  const std::map<model::Key, model::ObjectPtr>& serving;
};

// A file goes before what was applied, and both before what workloads registered. Of two files with one object the one
// that serves stays, else the first by name; the other is a problem that names both.
Joined join(const Inputs& inputs);

// "VirtualService default/reviews" -> its key.
std::optional<model::Key> key_of(const Origin& origin);

}  // namespace lateen::sources
