// Every cluster of a view, with the endpoints of those whose endpoints travel apart (EDS).
#pragma once

#include "translate/scope.h"
#include "xds/resources.h"

namespace lateen::translate {

void add_clusters(const Scope& scope, Notes notes, xds::Resources& out);

}  // namespace lateen::translate
