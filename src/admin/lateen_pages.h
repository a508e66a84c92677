// Lateen's own pages, below /lateen/: what the commands speak with.
#pragma once

#include "admin/backend.h"
#include "admin/router.h"

namespace lateen::admin {

// POST   /lateen/apply?file=&takeover&dry-run    a manifest in the body
// GET    /lateen/objects?kind=&namespace=&name=&text
// DELETE /lateen/objects/KIND/NAMESPACE/NAME
// GET    /lateen/explain?as=&method=&url=&header=NAME:VALUE&format=text|json&colour
// GET    /lateen/analyze
// GET    /lateen/views
// Both must outlive the router's use.
void add_lateen_pages(Router& router, Backend& backend);

}  // namespace lateen::admin
