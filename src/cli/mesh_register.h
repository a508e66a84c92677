// Workloads that announce themselves for as long as they live: POST /lateen/register.
#pragma once

#include <string>
#include <vector>

#include "admin/router.h"
#include "cli/mesh_control.h"
#include "cli/registration.h"

namespace lateen::cli {

// What the registration stands for: a WorkloadEntry called `name`, and the Service unless the mesh has a host of that
// name. Errors: kInvalidConfig where a name is none.
Result<std::vector<model::ObjectPtr>> objects_of(const Registration& registration, const std::string& name,
                                                 const model::Mesh& mesh);

// A name that no workload of the namespace has: "reviews-v1", "reviews-v1-2" ...
std::string unique_name(const Registration& registration, const model::Mesh& mesh);

// `control` must outlive the router's use; `http_proxy` is read at each request.
void add_register_page(admin::Router& router, MeshControl& control, const std::string& http_proxy);

}  // namespace lateen::cli
