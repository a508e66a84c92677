#include "admit/admit.h"

#include "admit/ownership.h"
#include "admit/registry_index.h"
#include "admit/waits.h"

namespace lateen::admit {

namespace {

// The unreadable keep what they had: a document that cannot be read any more is not a deletion.
void keep_unreadable(const Accepted& previous, const Candidate& candidate, Admission& admission) {
  for (const auto& [key, problem] : candidate.unreadable) {
    if (candidate.objects.contains(key)) continue;
    Status status{Standing::kRefused, problem.message, problem.origin, false};
    if (const auto last = previous.objects.find(key); last != previous.objects.end()) {
      admission.mesh.objects[key] = last->second;
      status.last_good_serves = true;
    }
    admission.status[key] = std::move(status);
  }
}

// A new version that would fail while the one before it still can serve waits behind that one.
void settle_waits(const Accepted& previous, const Candidate& candidate, Admission& admission) {
  const RegistryIndex index(admission.mesh.objects, candidate.config);
  for (const auto& [key, object] : candidate.objects) {
    const std::optional<Wait> wait = first_wait(*object, index, candidate.config);
    if (!wait) continue;
    Status& status = admission.status[key];
    status = {Standing::kPending, wait->reason, object->origin(wait->field_path), false};
    if (!wait->blocks) continue;
    const auto last = previous.objects.find(key);
    if (last == previous.objects.end() || last->second->content_hash == object->content_hash) continue;
    if (first_wait(*last->second, index, candidate.config)) continue;
    admission.mesh.objects[key] = last->second;
    status.last_good_serves = true;
  }
}

}  // namespace

Admission admit(const Accepted& previous, const Candidate& candidate) {
  Admission admission;
  admission.mesh.config = candidate.config;
  admission.mesh.objects = candidate.objects;
  for (const auto& [key, object] : candidate.objects) admission.status[key] = {};
  keep_unreadable(previous, candidate, admission);
  settle_waits(previous, candidate, admission);
  settle_ownership(admission.mesh.objects, candidate.config, admission.status);
  admission.accepted.objects = admission.mesh.objects;
  return admission;
}

}  // namespace lateen::admit
