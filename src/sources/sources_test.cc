#include "sources/sources.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "sources/file_set.h"
#include "sources/join.h"
#include "sources/memory.h"
#include "sources/registrations.h"
#include "sources/stored_object.h"

namespace lateen::sources {
namespace {

namespace fs = std::filesystem;

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "lateen-sources-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path_); }
  std::string file(const std::string& name) const { return (path_ / name).string(); }
  std::string path() const { return path_.string(); }
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << text;
  }
  // As editors and `kubectl cp` do: a new file takes the old one's place.
  void replace(const std::string& name, const std::string& text) const {
    write(name + ".tmp", text);
    fs::rename(path_ / (name + ".tmp"), path_ / name);
  }

 private:
  fs::path path_;
};

std::string rule_text(const std::string& name, const std::string& host = "reviews", const std::string& timeout = "") {
  return "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: " + name +
         "\nspec:\n  hosts:\n  - " + host + "\n  http:\n  - route:\n    - destination:\n        host: " + host + "\n" +
         (timeout.empty() ? "" : "    timeout: " + timeout + "\n");
}

model::Key key(const std::string& name) { return {model::Kind::kVirtualService, "default", name}; }
WallTime at(int seconds) { return WallTime(std::chrono::seconds(seconds)); }

// Late enough that no file counts as just written.
const WallTime kLater = WallTime(std::chrono::hours(24 * 365 * 200));

std::map<model::Key, model::ObjectPtr> objects_of(const FileSet& set) { return join({set.files(), {}, {}, {}}).objects; }

TEST(FileSet, ReadsFoldersBelowAndLeavesOutWhatIsHidden) {
  const Folder folder;
  folder.write("a.yaml", rule_text("a"));
  folder.write("deep/er/b.yml", rule_text("b"));
  folder.write(".c.yaml", rule_text("c"));
  folder.write("notes.txt", "hello");
  FileSet set({folder.path()}, {});
  set.scan(at(5), FileSet::Trust::kAll);
  const auto objects = objects_of(set);
  EXPECT_EQ(objects.size(), 2u);
  EXPECT_TRUE(objects.contains(key("a")));
  EXPECT_TRUE(objects.contains(key("b")));
}

TEST(FileSet, SeesNewChangedAndReplacedFilesAtOnce) {
  const Folder folder;
  folder.write("a.yaml", rule_text("a"));
  FileSet set({folder.path()}, {});
  set.scan(kLater, FileSet::Trust::kAll);
  EXPECT_EQ(set.scan(kLater, FileSet::Trust::kCautious), FileSet::Outcome::kSame);
  folder.write("b.yaml", rule_text("b"));
  EXPECT_EQ(set.scan(kLater, FileSet::Trust::kCautious), FileSet::Outcome::kChanged);
  folder.write("a.yaml", rule_text("a", "ratings"));
  EXPECT_EQ(set.scan(kLater, FileSet::Trust::kCautious), FileSet::Outcome::kChanged);
  folder.replace("a.yaml", rule_text("a", "details"));
  EXPECT_EQ(set.scan(kLater, FileSet::Trust::kCautious), FileSet::Outcome::kChanged);
  const auto objects = objects_of(set);
  EXPECT_EQ(std::get<model::VirtualService>(objects.at(key("a"))->spec).hosts.front(), "details");
  EXPECT_EQ(objects.size(), 2u);
}

TEST(FileSet, RewritingTheSameTextIsNoChange) {
  const Folder folder;
  folder.write("a.yaml", rule_text("a"));
  FileSet set({folder.path()}, {});
  set.scan(kLater, FileSet::Trust::kAll);
  folder.replace("a.yaml", rule_text("a"));
  EXPECT_EQ(set.scan(kLater, FileSet::Trust::kCautious), FileSet::Outcome::kSame);
}

TEST(FileSet, HalfWrittenFileIsBelievedOnlyWhenItStaysSo) {
  const Folder folder;
  const std::string whole = rule_text("a") + "---\n" + rule_text("b");
  folder.write("a.yaml", whole);
  FileSet set({folder.path()}, {});
  set.scan(kLater, FileSet::Trust::kAll);
  folder.write("a.yaml", whole.substr(0, rule_text("a").size()));
  EXPECT_EQ(set.scan(kLater, FileSet::Trust::kCautious), FileSet::Outcome::kUnsure);
  EXPECT_EQ(objects_of(set).size(), 2u);
  folder.write("a.yaml", whole + "---\n" + rule_text("c"));
  EXPECT_EQ(set.scan(kLater, FileSet::Trust::kCautious), FileSet::Outcome::kChanged);
  EXPECT_EQ(objects_of(set).size(), 3u);
  folder.write("a.yaml", rule_text("a"));
  EXPECT_EQ(set.scan(kLater, FileSet::Trust::kCautious), FileSet::Outcome::kUnsure);
  EXPECT_EQ(set.scan(kLater, FileSet::Trust::kCautious), FileSet::Outcome::kChanged);
  EXPECT_EQ(objects_of(set).size(), 1u);
}

TEST(FileSet, RemovedFileIsForgottenWhenItStaysAway) {
  const Folder folder;
  folder.write("a.yaml", rule_text("a"));
  FileSet set({folder.path()}, {});
  set.scan(kLater, FileSet::Trust::kAll);
  fs::remove(folder.file("a.yaml"));
  EXPECT_EQ(set.scan(kLater, FileSet::Trust::kCautious), FileSet::Outcome::kUnsure);
  EXPECT_EQ(objects_of(set).size(), 1u);
  EXPECT_EQ(set.scan(kLater, FileSet::Trust::kCautious), FileSet::Outcome::kChanged);
  EXPECT_TRUE(objects_of(set).empty());
}

TEST(FileSet, FirstSeenIsTheTimeOfCreation) {
  const Folder folder;
  folder.write("a.yaml", rule_text("a"));
  FileSet set({folder.path()}, {});
  set.scan(at(5), FileSet::Trust::kAll);
  folder.write("b.yaml", rule_text("b"));
  set.scan(at(9), FileSet::Trust::kCautious);
  folder.write("a.yaml", rule_text("a", "ratings"));
  set.scan(at(12), FileSet::Trust::kCautious);
  const auto objects = objects_of(set);
  EXPECT_EQ(objects.at(key("a"))->meta.created, at(5));
  EXPECT_EQ(objects.at(key("b"))->meta.created, at(9));
}

TEST(Join, FileHoldsAgainstAppliedAndNamesBoth) {
  const Folder folder;
  folder.write("a.yaml", rule_text("a"));
  FileSet set({folder.path()}, {});
  set.scan(kLater, FileSet::Trust::kAll);
  const auto applied = model::read_manifests(rule_text("a", "ratings"), "mine.yaml").objects.front();
  const Joined joined = join({set.files(), {{applied->key(), applied}}, {}, {}});
  EXPECT_EQ(joined.objects.at(key("a"))->file, folder.file("a.yaml"));
  ASSERT_EQ(joined.problems.size(), 1u);
  EXPECT_EQ(joined.problems.front().code, "LTN0902");
  EXPECT_NE(joined.problems.front().message.find(folder.file("a.yaml")), std::string::npos);
}

TEST(Join, OneObjectInTwoFilesIsRefusedOnceNamingBoth) {
  const Folder folder;
  folder.write("a.yaml", rule_text("a"));
  folder.write("b.yaml", rule_text("a", "ratings"));
  FileSet set({folder.path()}, {});
  set.scan(kLater, FileSet::Trust::kAll);
  const Joined joined = join({set.files(), {}, {}, {}});
  EXPECT_EQ(joined.objects.at(key("a"))->file, folder.file("a.yaml"));
  ASSERT_EQ(joined.problems.size(), 1u);
  EXPECT_NE(joined.problems.front().message.find("a.yaml"), std::string::npos);
  EXPECT_NE(joined.problems.front().message.find("b.yaml"), std::string::npos);
  // The one that serves stays, whatever its name.
  const auto serving = set.files().at(folder.file("b.yaml")).content.objects.front();
  EXPECT_EQ(join({set.files(), {}, {}, {{serving->key(), serving}}}).objects.at(key("a"))->file, folder.file("b.yaml"));
}

TEST(Join, BadDocumentMakesItsOwnObjectUnreadableAndNoOther) {
  const Folder folder;
  folder.write("a.yaml", rule_text("a") + "---\n" + rule_text("b"));
  FileSet set({folder.path()}, {});
  set.scan(kLater, FileSet::Trust::kAll);
  const auto serving = objects_of(set);
  folder.write("a.yaml", rule_text("a", "reviews", "soon") + "---\n" + rule_text("b"));
  set.scan(kLater, FileSet::Trust::kAll);
  const Joined joined = join({set.files(), {}, {}, serving});
  EXPECT_TRUE(joined.objects.contains(key("b")));
  EXPECT_FALSE(joined.objects.contains(key("a")));
  ASSERT_EQ(joined.unreadable.size(), 1u);
  EXPECT_TRUE(joined.unreadable.contains(key("a")));
}

TEST(Join, BrokenYamlMakesUnreadableWhatTheFileHad) {
  const Folder folder;
  folder.write("a.yaml", rule_text("a"));
  folder.write("b.yaml", rule_text("b"));
  FileSet set({folder.path()}, {});
  set.scan(kLater, FileSet::Trust::kAll);
  const auto serving = objects_of(set);
  folder.write("a.yaml", "a: [1, 2\nb: }");
  set.scan(kLater, FileSet::Trust::kAll);
  const Joined joined = join({set.files(), {}, {}, serving});
  EXPECT_TRUE(joined.unreadable.contains(key("a")));
  EXPECT_EQ(joined.unreadable.size(), 1u);
  EXPECT_TRUE(joined.objects.contains(key("b")));
}

TEST(Join, KeyOfOrigin) {
  Origin origin;
  origin.object = "VirtualService default/reviews";
  EXPECT_EQ(key_of(origin), key("reviews"));
  origin.object = "Nonsense default/reviews";
  EXPECT_FALSE(key_of(origin));
  origin.object = "";
  EXPECT_FALSE(key_of(origin));
}

TEST(AppliedStore, SurvivesARestartWithTimeFileAndLines) {
  const Folder folder;
  const std::string text = "# a comment\n\n" + rule_text("a") + "---\n" + rule_text("b");
  const auto read = model::read_manifests(text, "rules.yaml").objects;
  ASSERT_EQ(read.size(), 2u);
  {
    auto store = AppliedStore::open(folder.file("state"));
    ASSERT_TRUE(store) << store.error().message;
    for (const auto& object : read) ASSERT_TRUE((*store)->put(with_created(object, at(77))));
  }
  const auto store = AppliedStore::open(folder.file("state"));
  ASSERT_TRUE(store);
  EXPECT_TRUE((*store)->problems().empty());
  ASSERT_EQ((*store)->objects().size(), 2u);
  for (const auto& object : read) {
    const auto& stored = (*store)->objects().at(object->key());
    EXPECT_EQ(stored->meta.created, at(77));
    EXPECT_EQ(stored->file, "rules.yaml");
    EXPECT_EQ(stored->content_hash, object->content_hash);
    EXPECT_EQ(stored->origin("spec.hosts").line, object->origin("spec.hosts").line);
  }
}

TEST(AppliedStore, KeepsTheTimeOfCreationOfWhatIsThere) {
  auto store = AppliedStore::open("");
  ASSERT_TRUE(store);
  const auto first = model::read_manifests(rule_text("a"), "").objects.front();
  const auto second = model::read_manifests(rule_text("a", "ratings"), "").objects.front();
  EXPECT_FALSE((*store)->put(first)) << "a new object must bring its time";
  ASSERT_TRUE((*store)->put(with_created(first, at(1))));
  ASSERT_TRUE((*store)->put(with_created(second, at(2))));
  EXPECT_EQ((*store)->objects().at(key("a"))->meta.created, at(1));
  EXPECT_EQ((*store)->objects().at(key("a"))->content_hash, second->content_hash);
  ASSERT_TRUE((*store)->set_created(key("a"), at(-5)));
  EXPECT_EQ((*store)->objects().at(key("a"))->meta.created, at(-5));
}

TEST(AppliedStore, RemovesAndSaysWhetherItWasThere) {
  const Folder folder;
  auto store = AppliedStore::open(folder.file("state"));
  ASSERT_TRUE(store);
  ASSERT_TRUE((*store)->put(with_created(model::read_manifests(rule_text("a"), "").objects.front(), at(1))));
  EXPECT_TRUE((*store)->remove(key("a")).value());
  EXPECT_FALSE((*store)->remove(key("a")).value());
  EXPECT_TRUE(AppliedStore::open(folder.file("state")).value()->objects().empty());
}

TEST(AppliedStore, DamagedFileIsAProblemAndHidesNoOther) {
  const Folder folder;
  {
    auto store = AppliedStore::open(folder.file("state"));
    ASSERT_TRUE((*store)->put(with_created(model::read_manifests(rule_text("a"), "").objects.front(), at(1))));
  }
  folder.write("state/broken.yaml", "kind: VirtualService\n");
  const auto store = AppliedStore::open(folder.file("state"));
  ASSERT_TRUE(store);
  EXPECT_EQ((*store)->objects().size(), 1u);
  ASSERT_EQ((*store)->problems().size(), 1u);
  EXPECT_EQ((*store)->problems().front().code, "LTN0904");
}

TEST(StoredObject, FileNamesAreSafeAndApart) {
  EXPECT_EQ(stored_file_name(key("reviews-route")), "virtual-service.default.reviews-route.yaml");
  EXPECT_EQ(stored_file_name({model::Kind::kVirtualService, "..", "a/b"}), "virtual-service.%2E%2E.a%2Fb.yaml");
  const std::string one = stored_file_name(key(std::string(300, 'x') + "1"));
  const std::string two = stored_file_name(key(std::string(300, 'x') + "2"));
  EXPECT_LT(one.size(), 255u);
  EXPECT_NE(one, two);
}

TEST(StoredObject, TimesKeepTheirNanoseconds) {
  const WallTime time = at(1'795'402'754) + std::chrono::nanoseconds(123'456'789);
  EXPECT_EQ(format_time(time), "2026-11-23T02:59:14.123456789Z");
  EXPECT_EQ(parse_time(format_time(time)), time);
  EXPECT_EQ(parse_time(format_time(at(-1))), at(-1));
  for (const char* bad : {"", "yesterday", "2026-11-23", "2026-11-23T02:59:14", "2026-11-23T01:12:34+01:00"})
    EXPECT_FALSE(parse_time(bad)) << bad;
}

TEST(Memory, KeepsWhatServedWithItsTimes) {
  const Folder folder;
  std::map<model::Key, model::ObjectPtr> serving;
  for (const auto& object : model::read_manifests(rule_text("a") + "---\n" + rule_text("b"), "f.yaml").objects)
    serving[object->key()] = with_created(object, at(9));
  EXPECT_TRUE(load_memory(folder.file("memory")).value().empty());
  ASSERT_TRUE(store_memory(folder.file("memory"), serving));
  const auto loaded = load_memory(folder.file("memory"));
  ASSERT_TRUE(loaded);
  ASSERT_EQ(loaded->size(), 2u);
  EXPECT_EQ(loaded->at(key("b"))->content_hash, serving.at(key("b"))->content_hash);
  EXPECT_EQ(loaded->at(key("b"))->file, "f.yaml");
  EXPECT_EQ(first_seen_of(*loaded).at(key("a")), at(9));
}

TEST(Memory, DamagedFileIsSaid) {
  const Folder folder;
  for (const char* bad : {"x", "# object 5\nabc", "# object -1\n", "# object 1 2\nab"}) {
    folder.write("memory", bad);
    EXPECT_FALSE(load_memory(folder.file("memory"))) << bad;
  }
}

TEST(Registrations, SharedObjectStaysUntilTheLastOwnerGoes) {
  const auto shared = model::read_manifests(rule_text("shared"), "").objects.front();
  const auto same = model::read_manifests(rule_text("shared"), "").objects.front();
  const auto other = model::read_manifests(rule_text("shared", "ratings"), "").objects.front();
  Registrations registrations;
  const auto first = registrations.add({shared});
  const auto second = registrations.add({same});
  ASSERT_TRUE(first);
  ASSERT_TRUE(second);
  EXPECT_EQ(registrations.add({other}).error().code, ErrorCode::kConflict);
  registrations.remove(*first);
  EXPECT_EQ(registrations.objects().size(), 1u);
  registrations.remove(*first);
  EXPECT_EQ(registrations.objects().size(), 1u);
  registrations.remove(*second);
  EXPECT_TRUE(registrations.objects().empty());
}

}  // namespace
}  // namespace lateen::sources
