// The control side's state: what the sources have, joined and admitted. Applying and deleting go through here.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "admin/backend.h"
#include "admit/admit.h"
#include "net/loop.h"
#include "sources/join.h"
#include "sources/memory.h"
#include "sources/registrations.h"
#include "sources/sources.h"

namespace lateen::cli {

class MeshControl {
 public:
  struct Options {
    std::vector<std::string> paths;
    std::string state;
    model::MeshConfig config;
  };
  // `on_change` is called after each change of what serves, never from inside open().
  static Result<std::unique_ptr<MeshControl>> open(net::Loop& loop, Options options, std::function<void()> on_change);

  ~MeshControl();

  const model::Mesh& mesh() const { return admission_.mesh; }
  const admit::Admission& admission() const { return admission_; }
  std::vector<admin::ObjectPage> objects() const;
  std::vector<Diagnostic> problems() const;
  const std::vector<model::Ignored>& ignored() const { return joined_.ignored; }

  // Changes what was applied. The outcome's status is that after the change.
  admin::ApplyOutcome apply(const admin::ApplyRequest& request, translate::Compat compat);
  Result<admin::ObjectOutcome> remove(const model::Key& key);

  Result<sources::Registrations::Owner> add_registration(std::vector<model::ObjectPtr> objects);
  void remove_registration(sources::Registrations::Owner owner);
  const std::map<model::Key, model::ObjectPtr>& registered() const { return registrations_.objects(); }

 private:
  MeshControl(net::Loop& loop, model::MeshConfig config, std::function<void()> on_change)
      : loop_(loop), config_(std::move(config)), on_change_(std::move(on_change)) {}

  sources::Joined join(const std::map<model::Key, model::ObjectPtr>& applied) const;
  admit::Admission admit(const sources::Joined& joined) const;
  void refresh();
  void remember_soon();
  void remember();
  admin::ObjectOutcome apply_one(const model::ObjectPtr& object, const admin::ApplyRequest& request,
                                 std::map<model::Key, model::ObjectPtr>& trial);
  Result<void> take_over(const model::ObjectPtr& object, std::map<model::Key, model::ObjectPtr>& trial);
  const model::Object* file_object(const model::Key& key) const;
  std::string where(const model::Object& object) const;

  net::Loop& loop_;
  model::MeshConfig config_;
  std::function<void()> on_change_;
  std::unique_ptr<sources::Directory> directory_;
  std::unique_ptr<sources::AppliedStore> store_;
  sources::Registrations registrations_;
  sources::Joined joined_;
  admit::Admission admission_;
  std::string memory_path_;                        // "": nothing is remembered over a restart
  std::vector<Diagnostic> memory_problems_;
  net::Timer memory_timer_;
};

}  // namespace lateen::cli
