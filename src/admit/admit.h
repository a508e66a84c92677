// admit(): which candidates become part of the mesh. A pure function with its memory passed in and persisted.
//
// A bad object is refused alone. A rule whose subset cannot serve yet stays pending while its last good version
// serves. The order of application does not matter.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/diagnostics.h"
#include "model/mesh.h"

namespace lateen::admit {

enum class Standing {
  kInEffect,
  kNotInEffect,   // accepted, but another object wins (because_of)
  kPending,       // waits for something; its last good version (if any) serves
  kRefused,
};

struct Status {
  Standing standing = Standing::kInEffect;
  std::string reason;                 // for people: "waits for subset v2 of reviews: no DestinationRule defines it"
  Origin because_of;                  // kNotInEffect: the winner; kPending: the field that waits
  bool last_good_serves = false;      // kPending or kRefused: an earlier version is still in effect
};

// What is remembered from one call to the next: the version of each object that serves.
struct Accepted {
  std::map<model::Key, model::ObjectPtr> objects;
};

struct Candidate {
  std::map<model::Key, model::ObjectPtr> objects;       // everything that sources found, file wins are already settled
  std::vector<Diagnostic> problems;                     // of documents that could not be read
  // Keys whose current document could not be read: their last good version is to serve on, and is not "deleted".
  std::map<model::Key, Diagnostic> unreadable;
  model::MeshConfig config;
};

struct Admission {
  Accepted accepted;                                    // the next memory
  model::Mesh mesh;                                     // what translate() gets
  std::map<model::Key, Status> status;                  // of every candidate
};

Admission admit(const Accepted& previous, const Candidate& candidate);

}  // namespace lateen::admit
