#include "cli/mesh_register.h"

#include "model/read.h"
#include "text/json_writer.h"

namespace lateen::cli {

namespace {

std::map<std::string, std::string> labels_of(const Registration& registration) {
  std::map<std::string, std::string> labels = registration.labels;
  labels.try_emplace("app", registration.service.empty() ? registration.identity : registration.service);
  if (!registration.version.empty()) labels.try_emplace("version", registration.version);
  return labels;
}

// The host of the service, if something other than a Service of that name has it.
bool has_service_entry(const Registration& registration, const model::Mesh& mesh) {
  const std::string full = registration.service + "." + registration.namespace_ + ".svc." + mesh.config.cluster_domain;
  for (const auto& [object, entry] : mesh.all<model::ServiceEntry>(model::Kind::kServiceEntry))
    for (const std::string& host : entry->hosts)
      if (host == full || (host == registration.service && object->meta.namespace_ == registration.namespace_)) return true;
  return false;
}

// The names of the service's ports that this workload serves: endpoints find their port by them.
std::vector<std::string> port_names(const Registration& registration, const model::Mesh& mesh) {
  std::vector<std::string> names;
  const auto service = mesh.objects.find({model::Kind::kService, registration.namespace_, registration.service});
  if (service != mesh.objects.end())
    if (const auto* spec = std::get_if<model::Service>(&service->second->spec))
      for (const model::ServicePort& port : spec->ports)
        if (port.number == registration.service_port) names.push_back(port.name);
  for (const auto& [object, entry] : mesh.all<model::ServiceEntry>(model::Kind::kServiceEntry))
    for (const model::ServicePort& port : entry->ports)
      if (port.number == registration.service_port && has_service_entry(registration, mesh)) names.push_back(port.name);
  names.push_back(registration.protocol);
  return names;
}

// JSON is YAML: the reader of manifests does all checks.
class Manifest {
 public:
  Manifest(std::string& text, std::string_view api_version, std::string_view kind, const std::string& namespace_,
           const std::string& name)
      : json_(text) {
    json_.begin_object().member("apiVersion", api_version).member("kind", kind);
    json_.key("metadata").begin_object().member("name", name).member("namespace", namespace_);
  }
  text::JsonWriter& json() { return json_; }
  void labels(const std::map<std::string, std::string>& labels) {
    json_.key("labels").begin_object();
    for (const auto& [name, value] : labels) json_.member(name, value);
    json_.end_object();
  }

 private:
  text::JsonWriter json_;
};

std::string workload_text(const Registration& registration, const std::string& name, const model::Mesh& mesh) {
  std::string text;
  Manifest manifest(text, "networking.istio.io/v1", "WorkloadEntry", registration.namespace_, name);
  const auto labels = labels_of(registration);
  manifest.labels(labels);
  text::JsonWriter& json = manifest.json();
  json.end_object().key("spec").begin_object();
  json.member("address", registration.address.empty() ? std::string("127.0.0.1") : registration.address);
  if (registration.port != 0) {
    json.key("ports").begin_object();
    std::map<std::string, unsigned> ports;
    for (const std::string& port : port_names(registration, mesh)) ports[port] = registration.port;
    for (const auto& [port, number] : ports) json.member(port, number);
    json.end_object();
  }
  manifest.labels(labels);
  json.member("serviceAccount", "default").end_object().end_object();
  return text;
}

std::string service_text(const Registration& registration) {
  std::string text;
  Manifest manifest(text, "v1", "Service", registration.namespace_, registration.service);
  text::JsonWriter& json = manifest.json();
  json.end_object().key("spec").begin_object();
  json.key("selector").begin_object().member("app", registration.service).end_object();
  json.key("ports").begin_array().begin_object();
  json.member("name", registration.protocol).member("port", static_cast<unsigned>(registration.service_port));
  json.end_object().end_array().end_object().end_object();
  return text;
}

Result<model::ObjectPtr> read_one(const std::string& text) {
  const model::ReadResult read = model::read_manifests(text, "");
  if (read.objects.size() == 1) return read.objects.front();
  if (!read.problems.empty())
    return fail(ErrorCode::kInvalidConfig, read.problems.front().message, read.problems.front().origin);
  return fail(ErrorCode::kInvalidConfig, "the registration makes no object");
}

}  // namespace

Result<std::vector<model::ObjectPtr>> objects_of(const Registration& registration, const std::string& name,
                                                 const model::Mesh& mesh) {
  std::vector<model::ObjectPtr> objects;
  LATEEN_TRY(model::ObjectPtr workload, read_one(workload_text(registration, name, mesh)));
  objects.push_back(std::move(workload));
  if (registration.service.empty() || has_service_entry(registration, mesh)) return objects;
  LATEEN_TRY(model::ObjectPtr service, read_one(service_text(registration)));
  objects.push_back(std::move(service));
  return objects;
}

std::string unique_name(const Registration& registration, const model::Mesh& mesh) {
  const auto taken = [&](const std::string& name) {
    return mesh.objects.contains({model::Kind::kWorkloadEntry, registration.namespace_, name}) ||
           mesh.objects.contains({model::Kind::kPod, registration.namespace_, name});
  };
  std::string name = registration.identity;
  for (int number = 2; taken(name); ++number) name = registration.identity + "-" + std::to_string(number);
  return name;
}

void add_register_page(admin::Router& router, MeshControl& control, const std::string& http_proxy) {
  MeshControl* mesh = &control;
  const std::string* proxy = &http_proxy;
  router.add_change("POST", "/lateen/register", "a workload registers itself for as long as the connection lives",
                    [mesh, proxy](const admin::Request& request, admin::Reply reply) {
                      auto registration = parse_registration(request.body);
                      if (!registration) return reply(admin::error_response(registration.error()));
                      const std::string name = unique_name(*registration, mesh->mesh());
                      auto objects = objects_of(*registration, name, mesh->mesh());
                      if (!objects) return reply(admin::error_response(objects.error()));
                      const auto owner = mesh->add_registration(*std::move(objects));
                      if (!owner) return reply(admin::error_response(owner.error()));
                      reply.hold_open(admin::json_response(to_json(RegistrationAnswer{name, *proxy}) + "\n"),
                                      [mesh, owner = *owner] { mesh->remove_registration(owner); });
                    });
}

}  // namespace lateen::cli
