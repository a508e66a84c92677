// Nothing of xDS is ignored in silence. Every message that testdata/every_field.json holds is looked at by its
// descriptor: each of its fields is changed alone, and then either the snapshot is another, or a refusal or a note names
// the field, or the field stands in the list of harmless ones below. A field that nobody knows must be told in any case.

#include <google/protobuf/any.pb.h>
#include <google/protobuf/unknown_field_set.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <set>
#include <sstream>

#include "runtime/compile.h"
#include "runtime/every_field_harmless_test.h"
#include "runtime/resources_from_json.h"
#include "runtime/snapshot_text_test.h"
#include "xds/types.h"

namespace lateen::runtime {
namespace {

namespace pb = google::protobuf;
using Field = pb::FieldDescriptor;

// ---- changing one field ------------------------------------------------------------------------------------------------

bool is_leaf(const pb::Descriptor& type) { return type.full_name().starts_with("google.protobuf.") && type.full_name() != "google.protobuf.Any"; }

void fill(pb::Message& message, int depth);

// Another value than the one it has; for a message that is not there, one with something in it.
void change(pb::Message& message, const Field& field, int depth) {
  const pb::Reflection& r = *message.GetReflection();
  const bool many = field.is_repeated();
  switch (field.cpp_type()) {
    case Field::CPPTYPE_BOOL: many ? r.AddBool(&message, &field, true) : r.SetBool(&message, &field, !r.GetBool(message, &field)); return;
    case Field::CPPTYPE_INT32: many ? r.AddInt32(&message, &field, 7) : r.SetInt32(&message, &field, r.GetInt32(message, &field) + 7); return;
    case Field::CPPTYPE_INT64: many ? r.AddInt64(&message, &field, 7) : r.SetInt64(&message, &field, r.GetInt64(message, &field) + 7); return;
    case Field::CPPTYPE_UINT32: many ? r.AddUInt32(&message, &field, 7) : r.SetUInt32(&message, &field, r.GetUInt32(message, &field) + 7); return;
    case Field::CPPTYPE_UINT64: many ? r.AddUInt64(&message, &field, 7) : r.SetUInt64(&message, &field, r.GetUInt64(message, &field) + 7); return;
    case Field::CPPTYPE_DOUBLE: many ? r.AddDouble(&message, &field, 7) : r.SetDouble(&message, &field, r.GetDouble(message, &field) + 7); return;
    case Field::CPPTYPE_FLOAT: many ? r.AddFloat(&message, &field, 7) : r.SetFloat(&message, &field, r.GetFloat(message, &field) + 7); return;
    case Field::CPPTYPE_ENUM: {
      const auto& values = *field.enum_type();
      const int last = values.value(values.value_count() - 1)->number(), before = values.value(values.value_count() > 1 ? values.value_count() - 2 : 0)->number();
      if (many) r.AddEnumValue(&message, &field, last);
      else r.SetEnumValue(&message, &field, r.GetEnumValue(message, &field) == last ? before : last);
      return;
    }
    case Field::CPPTYPE_STRING:
      many ? r.AddString(&message, &field, "x") : r.SetString(&message, &field, r.GetString(message, &field) + "x");
      return;
    case Field::CPPTYPE_MESSAGE: {
      const bool had = !many && r.HasField(message, &field);
      pb::Message& below = many ? *r.AddMessage(&message, &field) : *r.MutableMessage(&message, &field);
      if (below.GetDescriptor()->full_name() == "google.protobuf.Duration") {
        r.MutableMessage(&message, &field)->GetReflection()->SetInt64(&below, below.GetDescriptor()->FindFieldByName("seconds"), 77);
      } else if (!had || is_leaf(*below.GetDescriptor())) {
        fill(below, depth + 1);
      }
      return;
    }
  }
}

// One value for every field, of a oneof for the first.
void fill(pb::Message& message, int depth) {
  constexpr int kDepthMax = 4;
  if (depth > kDepthMax) return;
  const pb::Descriptor& type = *message.GetDescriptor();
  if (type.full_name() == "google.protobuf.Any") {
    message.GetReflection()->SetString(&message, type.FindFieldByName("type_url"), "type.googleapis.com/google.protobuf.Empty");
    return;
  }
  for (int i = 0; i < type.field_count(); ++i) {
    const Field& field = *type.field(i);
    const auto* choice = field.real_containing_oneof();
    if (choice == nullptr || choice->field(0) == &field) change(message, field, depth);
  }
}

// ---- the way to a message inside a resource ------------------------------------------------------------------------------

struct Step {
  const Field* field = nullptr;
  int index = -1;           // of a repeated field
  std::string key;          // of a map's entry: copies of a map have orders of their own
};

std::string key_of(const pb::Message& entry) { return entry.GetReflection()->GetString(entry, entry.GetDescriptor()->map_key()); }
using Way = std::vector<Step>;

void at(pb::Message& message, const Way& way, std::size_t depth, const std::function<void(pb::Message&)>& act);

// What an Any holds; it may be an Any of a pool of descriptors of its own.
std::unique_ptr<pb::Message> open(const pb::Message& any) {
  const auto& reflection = *any.GetReflection();
  auto inner = xds::new_message(reflection.GetString(any, any.GetDescriptor()->FindFieldByName("type_url")));
  if (inner != nullptr && !inner->ParseFromString(reflection.GetString(any, any.GetDescriptor()->FindFieldByName("value")))) return nullptr;
  return inner;
}

// An Any is opened on the way, whatever it holds.
void enter(pb::Message& message, const Way& way, std::size_t depth, const std::function<void(pb::Message&)>& act) {
  if (message.GetDescriptor()->full_name() != "google.protobuf.Any") return at(message, way, depth, act);
  const auto inner = open(message);
  if (inner == nullptr) {
    ADD_FAILURE() << "an Any that does not parse";
    return;
  }
  at(*inner, way, depth, act);
  message.GetReflection()->SetString(&message, message.GetDescriptor()->FindFieldByName("value"), inner->SerializeAsString());
}

void at(pb::Message& message, const Way& way, std::size_t depth, const std::function<void(pb::Message&)>& act) {
  if (depth == way.size()) return act(message);
  const Step& step = way[depth];
  const pb::Reflection& reflection = *message.GetReflection();
  // Messages in an Any are parsed anew each time: the field is found again by its number.
  const Field& field = *message.GetDescriptor()->FindFieldByNumber(step.field->number());
  int index = step.index;
  if (field.is_map())
    for (int i = 0; i < reflection.FieldSize(message, &field); ++i)
      if (key_of(reflection.GetRepeatedMessage(message, &field, i)) == step.key) index = i;
  pb::Message& below = index >= 0 ? *reflection.MutableRepeatedMessage(&message, &field, index) : *reflection.MutableMessage(&message, &field);
  enter(below, way, depth + 1, act);
}

// ---- resources ---------------------------------------------------------------------------------------------------------

struct Told {
  std::string snapshot;
  std::set<std::string> messages;
};

Told compile_one(std::string_view kind, const pb::Message& proto) {
  xds::Resources resources;
  ClusterNames names;
  envoy::config::route::v3::RouteConfiguration shell;
  shell.set_name("t");
  const auto resource = xds::make_resource("t", proto);
  if (kind == "clusters") resources.clusters["t"] = resource;
  else if (kind == "listeners") resources.listeners["t"] = resource;
  else if (kind == "secrets") resources.secrets["t"] = resource;
  else if (kind == "route_configurations") resources.routes["t"] = {resource, {}};
  else resources.routes["t"] = {xds::make_resource("t", shell), {resource}};
  const Compiled compiled = compile(resources, nullptr, names);
  Told out;
  out.snapshot = text::of(*compiled.snapshot);
  for (const auto* list : {&compiled.refused, &compiled.notes})
    for (const Error& error : *list) out.messages.insert(error.message);
  return out;
}

const char* type_of(std::string_view kind) {
  if (kind == "clusters") return "envoy.config.cluster.v3.Cluster";
  if (kind == "listeners") return "envoy.config.listener.v3.Listener";
  if (kind == "secrets") return "envoy.extensions.transport_sockets.tls.v3.Secret";
  return kind == "route_configurations" ? "envoy.config.route.v3.RouteConfiguration" : "envoy.config.route.v3.VirtualHost";
}

class Walk {
 public:
  Walk(std::string kind, std::unique_ptr<pb::Message> root) : kind_(std::move(kind)), root_(std::move(root)), before_(compile_one(kind_, *root_)) {
    EXPECT_EQ(before_.messages, std::set<std::string>()) << kind_;
  }
  void run() { visit(*root_, {}, ""); }
  static std::set<std::string>& types() {
    static std::set<std::string> all;
    return all;
  }

 private:
  void visit(const pb::Message& message, const Way& way, const std::string& name) {
    const pb::Descriptor& type = *message.GetDescriptor();
    types().insert(type.full_name());
    if (!type.options().map_entry()) unknown_field(way, type);
    for (int i = 0; i < type.field_count(); ++i) {
      const Field& field = *type.field(i);
      const std::string full = type.full_name() + "." + field.name(), here = kind_ + ":" + full;
      if (is_harmless(full) || is_harmless(here)) {
        used_harmless().insert(is_harmless(full) ? full : here);
        continue;
      }
      // A message that is there is looked into instead.
      const bool there = field.cpp_type() == Field::CPPTYPE_MESSAGE && !field.is_repeated() && !is_leaf(*field.message_type()) &&
                         message.GetReflection()->HasField(message, &field);
      if (!type.options().map_entry() && !there) change_one(way, field, name);
      descend(message, field, way);
    }
  }

  void descend(const pb::Message& message, const Field& field, const Way& way) {
    if (field.cpp_type() != Field::CPPTYPE_MESSAGE || is_leaf(*field.message_type())) return;
    const pb::Reflection& reflection = *message.GetReflection();
    const int count = field.is_repeated() ? reflection.FieldSize(message, &field) : reflection.HasField(message, &field) ? 1 : 0;
    for (int i = 0; i < count; ++i) {
      const pb::Message& part = field.is_repeated() ? reflection.GetRepeatedMessage(message, &field, i) : reflection.GetMessage(message, &field);
      Way below = way;
      below.push_back({&field, field.is_repeated() ? i : -1, field.is_map() ? key_of(part) : ""});
      if (part.GetDescriptor()->full_name() != "google.protobuf.Any") {
        visit(part, below, field.name());
        continue;
      }
      opened_.push_back(open(part));
      ASSERT_NE(opened_.back(), nullptr);
      visit(*opened_.back(), below, field.name());
    }
  }

  Told changed(const Way& way, const std::function<void(pb::Message&)>& act) {
    const std::unique_ptr<pb::Message> copy(root_->New());
    copy->CopyFrom(*root_);
    at(*copy, way, 0, act);
    return compile_one(kind_, *copy);
  }

  void change_one(const Way& way, const Field& field, const std::string& name) {
    const int number = field.number();
    Told after = changed(way, [number](pb::Message& message) { change(message, *message.GetDescriptor()->FindFieldByNumber(number), 0); });
    if (after.snapshot == before_.snapshot && after.messages.empty() && field.cpp_type() == Field::CPPTYPE_MESSAGE)
      // What was put in may be the default: there, but empty, is another value.
      after = changed(way, [number](pb::Message& message) {
        const Field& again = *message.GetDescriptor()->FindFieldByNumber(number);
        if (again.is_repeated()) message.GetReflection()->ClearField(&message, &again);
        else message.GetReflection()->MutableMessage(&message, &again)->Clear();
      });
    if (after.snapshot != before_.snapshot && after.messages == before_.messages) return;
    bool named = false;
    for (const std::string& text : after.messages) named = named || text.find(field.name()) != std::string::npos || text.find(name) != std::string::npos;
    if (named && after.messages != before_.messages) return;
    std::string all;
    for (const std::string& text : after.messages) all += "\n  " + text;
    ADD_FAILURE() << "\"" << field.full_name() << "\": " << (after.messages.empty() ? "ignored in silence" : "told without its name:") << all;
  }

  void unknown_field(const Way& way, const pb::Descriptor& type) {
    constexpr int kNumber = 536870911;  // the greatest there is
    const Told after = changed(way, [](pb::Message& message) { message.GetReflection()->MutableUnknownFields(&message)->AddVarint(kNumber, 1); });
    if (after.messages == before_.messages) ADD_FAILURE() << "\"" << type.full_name() << "\": a field that nobody knows is ignored in silence";
  }

  std::string kind_;
  std::unique_ptr<pb::Message> root_;
  Told before_;
  std::vector<std::unique_ptr<pb::Message>> opened_;

 public:
  static std::set<std::string>& used_harmless() {
    static std::set<std::string> all;
    return all;
  }
};

TEST(EveryField, IsCarriedOutOrToldOrHarmless) {
  std::ifstream file(std::string(LATEEN_SOURCE_DIR) + "/src/runtime/testdata/every_field.json");
  std::stringstream json;
  json << file.rdbuf();
  const auto all = from_json<pb::Struct>(json.str());
  for (const auto& [kind, list] : all.fields()) {
    for (const pb::Value& value : list.list_value().values()) {
      std::string text;
      ASSERT_TRUE(pb::util::MessageToJsonString(value, &text).ok());
      std::unique_ptr<pb::Message> root = xds::new_message(type_of(kind));
      const Result<void> read = xds::from_json(text, *root, xds::UnknownFields::kRefuse);
      ASSERT_TRUE(read) << read.error().message;
      Walk(kind, std::move(root)).run();
    }
  }
  // The list below has no entry that nothing needs.
  for (const Harmless& entry : kHarmless) EXPECT_TRUE(Walk::used_harmless().contains(std::string(entry.field))) << entry.field;
  EXPECT_GT(Walk::types().size(), 100u);
}

}  // namespace
}  // namespace lateen::runtime
