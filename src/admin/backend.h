// What the admin pages ask of the living mesh. Implemented where the object graph is built; called on the control loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "admit/admit.h"
#include "base/diagnostics.h"
#include "base/time.h"
#include "model/mesh.h"
#include "model/read.h"
#include "proxy/proxy.h"
#include "runtime/snapshot.h"
#include "translate/translate.h"

namespace lateen::admin {

// One view as the pages show it.
struct ViewPage {
  std::string identity;                                     // "default/sleep"; "default/" for no name
  translate::View view;
  proxy::ViewId id = 0;
  std::shared_ptr<const translate::Translation> translation;  // what serves
  std::shared_ptr<const runtime::Snapshot> snapshot;
  std::vector<Error> refused;                               // resources that compile() refused
  std::uint64_t version = 0;                                // counts the changes of this view
  WallTime updated{};
};

enum class Source { kFile, kApplied, kRegistered };

struct ObjectPage {
  model::ObjectPtr object;                                  // as it was written last
  model::ObjectPtr serving;                                 // null: nothing of it serves
  admit::Status status;
  Source source = Source::kFile;
};

struct ApplyRequest {
  std::string yaml;
  std::string file;                                         // as the user named it; for messages
  bool takeover = false;                                    // become the owner of hosts that others own
  bool dry_run = false;                                     // say what would happen, change nothing
};
struct ObjectOutcome {
  model::Key key;
  std::string action;                                       // created, configured, unchanged, deleted, refused
  std::string reason;                                       // for refused
  admit::Status status;
};
struct ApplyOutcome {
  std::vector<ObjectOutcome> objects;
  std::vector<ObjectOutcome> others;                        // not among them, but brought into effect or out of it
  std::vector<Diagnostic> diagnostics;                      // what reading and analysis found about them
  std::vector<model::Ignored> ignored;
  bool failed = false;                                      // something was refused
};

struct ServerFacts {
  std::string version;
  WallTime started{};
  WallTime now{};
  unsigned concurrency = 1;
  std::string compat;                                       // "lateen", "istio"
  bool draining = false;
  std::vector<proxy::BoundListener> listeners;              // with their real ports
  std::map<std::string, std::string> options;               // the command line, for /server_info
};

class Backend {
 public:
  virtual ~Backend() = default;
  // Makes the view at its first use. "": the default identity. Errors: kInvalidConfig, kOverLimit.
  virtual Result<const ViewPage*> view(const std::string& identity) = 0;
  virtual std::vector<const ViewPage*> views() const = 0;
  virtual const proxy::Proxy& proxy() const = 0;
  virtual ServerFacts facts() const = 0;
  virtual translate::Compat compat() const = 0;

  // What serves.
  virtual const model::Mesh& mesh() const = 0;
  virtual std::vector<ObjectPage> objects() const = 0;
  // Of documents that gave no object, of clashes, and of resources that the data plane refused.
  virtual std::vector<Diagnostic> problems() const = 0;

  // `done` is called when every worker serves the outcome.
  virtual void apply(ApplyRequest request, std::function<void(ApplyOutcome)> done) = 0;
  virtual void remove(model::Key key, std::function<void(Result<ObjectOutcome>)> done) = 0;
};

}  // namespace lateen::admin
