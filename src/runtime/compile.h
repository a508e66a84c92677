// compile(): xDS resources in, Snapshot out. Pure. Everything that did not change is shared with `previous`.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/snapshot.h"
#include "xds/resources.h"

namespace lateen::runtime {

struct Compiled {
  std::shared_ptr<const Snapshot> snapshot;
  // Resources that were refused (their last good version stays in the snapshot), with the path of the field:
  // "cluster outbound|80||x: lb_policy: ...". A resource is in the list of every compile() until it is mended. A virtual
  // host that is refused and has no last good version answers every request with the reason (Outcome::kUnsupported).
  std::vector<Error> refused;
  // Parts that are valid but not carried out, told once, when the resource is compiled. The route, filter chain or
  // cluster says so to every request too, unless the message says that it is carried without.
  std::vector<Error> notes;
};

// `names` must be the one that `previous` (may be null) was compiled with. The snapshot does not refer to it.
Compiled compile(const xds::Resources& resources, const Snapshot* previous, ClusterNames& names);

}  // namespace lateen::runtime
