#include "sources/join.h"

#include <set>

namespace lateen::sources {

namespace {

std::string place(const model::Object& object) {
  const Origin origin = object.origin();
  const std::string text = to_string(origin);
  return text.empty() ? "an applied object" : text;
}

enum class Refused { kApplied, kFromFile };

Diagnostic clash(const model::Object& refused, const model::Object& kept, Refused what) {
  Diagnostic problem;
  problem.origin = refused.origin();
  if (what == Refused::kApplied) {
    problem.code = "LTN0902";
    problem.message = "was applied, but " + place(kept) + " has an object of that name too; the file holds";
    problem.fix = "delete one: lateen delete " + std::string(model::names(refused.kind).name) + " " + refused.meta.name +
                  " -n " + refused.meta.namespace_ + ", or take it out of the file";
  } else {
    problem.code = "LTN0901";
    problem.message = "is defined twice: " + place(kept) + " holds, " + place(refused) + " is refused";
    problem.fix = "take one of them out, or give it another name";
  }
  return problem;
}

class Joiner {
 public:
  explicit Joiner(const Inputs& inputs) : inputs_(inputs) {}

  Joined run() {
    for (const auto& [path, file] : inputs_.files) add_file(file);
    for (const auto& [path, file] : inputs_.files) add_unreadable(file);
    for (const auto& [key, object] : inputs_.applied) {
      const auto [found, added] = joined_.objects.try_emplace(key, object);
      if (!added) joined_.problems.push_back(clash(*object, *found->second, Refused::kApplied));
    }
    for (const auto& [key, object] : inputs_.registered) joined_.objects.try_emplace(key, object);
    return std::move(joined_);
  }

 private:
  void add_file(const Directory::File& file) {
    for (const model::ObjectPtr& object : file.content.objects) add_object(object);
    joined_.problems.insert(joined_.problems.end(), file.content.problems.begin(), file.content.problems.end());
    joined_.ignored.insert(joined_.ignored.end(), file.content.ignored.begin(), file.content.ignored.end());
  }

  void add_object(const model::ObjectPtr& object) {
    const auto [found, added] = joined_.objects.try_emplace(object->key(), object);
    if (added) return;
    const auto serving = inputs_.serving.find(object->key());
    const bool newcomer_serves = serving != inputs_.serving.end() && serving->second->file == object->file &&
                                 serving->second->file != found->second->file;
    if (newcomer_serves) {
      joined_.problems.push_back(clash(*found->second, *object, Refused::kFromFile));
      found->second = object;
    } else {
      joined_.problems.push_back(clash(*object, *found->second, Refused::kFromFile));
    }
  }

  // A document that names its object makes that one unreadable; one that does not (broken YAML) may have been any of
  // the objects that this file had.
  void add_unreadable(const Directory::File& file) {
    const Diagnostic* nameless = nullptr;
    for (const Diagnostic& problem : file.content.problems) {
      if (problem.severity != Severity::kError) continue;
      if (const auto key = key_of(problem.origin)) {
        if (!joined_.objects.contains(*key)) joined_.unreadable.try_emplace(*key, problem);
      } else if (nameless == nullptr) {
        nameless = &problem;
      }
    }
    if (nameless == nullptr) return;
    for (const auto& [key, object] : inputs_.serving)
      if (object->file == file.path && !joined_.objects.contains(key) && !inputs_.applied.contains(key)) joined_.unreadable.try_emplace(key, *nameless);
  }

  const Inputs& inputs_;
  Joined joined_;
};

}  // namespace

std::optional<model::Key> key_of(const Origin& origin) {
  const std::string_view text = origin.object;
  const std::size_t space = text.find(' ');
  const std::size_t slash = text.find('/', space == std::string_view::npos ? 0 : space);
  if (space == std::string_view::npos || slash == std::string_view::npos || slash + 1 == text.size()) return std::nullopt;
  const auto kind = model::parse_kind(text.substr(0, space));
  if (!kind) return std::nullopt;
  return model::Key{*kind, std::string(text.substr(space + 1, slash - space - 1)), std::string(text.substr(slash + 1))};
}

Joined join(const Inputs& inputs) { return Joiner(inputs).run(); }

}  // namespace lateen::sources
