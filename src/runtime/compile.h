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
  // "cluster outbound|80||x: lb_policy: ...".
  std::vector<Error> refused;
};

Compiled compile(const xds::Resources& resources, const Snapshot* previous, ClusterNames& names);

}  // namespace lateen::runtime
