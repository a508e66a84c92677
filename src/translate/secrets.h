// Secrets of TLS out of Secret manifests, under the names with which listeners and clusters ask for them.
#pragma once

#include "translate/scope.h"
#include "xds/resources.h"

namespace lateen::translate {

// Adds those that the listeners and clusters in `out` name: certificates ("kubernetes://NAME") and authorities
// ("kubernetes://NAME-cacert"), from the view's own namespace, as istiod serves them. One that is missing, or that lacks a
// key, is left out: its connections are refused until it comes.
void add_secrets(const Scope& scope, xds::Resources& out);

}  // namespace lateen::translate
