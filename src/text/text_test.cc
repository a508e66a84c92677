#include <gtest/gtest.h>

#include <array>
#include <chrono>

#include "text/duration.h"
#include "text/edit_distance.h"
#include "text/json.h"
#include "text/json_writer.h"
#include "text/scalar.h"
#include "text/utf8.h"
#include "text/yaml.h"
#include "text/yaml_writer.h"

namespace lateen::text {
namespace {

using namespace std::chrono_literals;

struct DurationCase {
  std::string_view text;
  std::optional<Duration> duration;
};

TEST(Duration, ReadsGoDurations) {
  const DurationCase cases[] = {
      {"1h30m", 90min}, {"1.5s", 1500ms}, {"100ms", 100ms}, {"0", 0s}, {"0s", 0s}, {"-2s", -2s}, {"+2s", 2s}, {"1h2m3s4ms5us6ns", 1h + 2min + 3s + 4ms + 5us + 6ns},
      {".5s", 500ms}, {"1.s", 1s}, {"3\xC2\xB5s", 3us}, {"0.000000001s", 1ns}, {"2562047h47m16.854775807s", Duration(std::numeric_limits<std::int64_t>::max())},
      {"", {}}, {"s", {}}, {"10", {}}, {"1", {}}, {"1x", {}}, {"1s ", {}}, {" 1s", {}}, {"1h-2m", {}}, {".", {}}, {".s", {}}, {"1..5s", {}},
      {"2562048h", {}}, {"99999999999999999999s", {}}, {"9223372036854775807s", {}}};
  for (const DurationCase& test : cases) {
    const auto parsed = parse_duration(test.text);
    ASSERT_EQ(parsed.has_value(), test.duration.has_value()) << test.text;
    if (!test.duration) continue;
    EXPECT_EQ(*parsed, *test.duration) << test.text;
  }
}

TEST(Duration, FormatsShortAndReadsItBack) {
  EXPECT_EQ(format_duration(10s), "10s");
  EXPECT_EQ(format_duration(1500ms), "1.5s");
  EXPECT_EQ(format_duration(300ms), "300ms");
  EXPECT_EQ(format_duration(90min), "1h30m");
  EXPECT_EQ(format_duration(-61s), "-1m1s");
  EXPECT_EQ(format_duration(0s), "0s");
  std::int64_t value = 1;
  for (int i = 0; i < 60; ++i, value = value * 2 + 1) EXPECT_EQ(parse_duration(format_duration(Duration(value))).value(), Duration(value));
  for (const std::int64_t extreme : {std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min() + 1})
    EXPECT_EQ(parse_duration(format_duration(Duration(extreme))).value(), Duration(extreme));
}

TEST(Scalar, TellsTypesAsKubernetesDoes) {
  using T = Node::Type;
  const std::pair<std::string_view, T> cases[] = {
      {"", T::kNull}, {"~", T::kNull}, {"null", T::kNull}, {"true", T::kBool}, {"Off", T::kBool}, {"yes", T::kBool}, {"12", T::kNumber}, {"-1.5e3", T::kNumber},
      {"0x1F", T::kNumber}, {"1.", T::kNumber}, {".5", T::kNumber}, {"1.2.3", T::kString}, {"10s", T::kString}, {"v1", T::kString}, {"y", T::kString},
      {"1e", T::kString}, {".", T::kString}, {"-", T::kString}, {"2026-01-01", T::kString}, {"0x", T::kString}, {"nul", T::kString}};
  for (const auto& [word, type] : cases) EXPECT_EQ(plain_scalar_type(word), type) << word;
  EXPECT_EQ(parse_integer("1e3"), 1000);
  EXPECT_EQ(parse_integer("5.0"), 5);
  EXPECT_EQ(parse_integer("5.5"), std::nullopt);
  EXPECT_EQ(parse_integer("9223372036854775807"), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(parse_integer("9223372036854775808"), std::nullopt);
  EXPECT_EQ(parse_number("1e999"), std::nullopt);
}

TEST(EditDistance, FindsTheWordMeant) {
  EXPECT_EQ(edit_distance("retrys", "retries"), 2u);
  EXPECT_EQ(edit_distance("ab", "ba"), 1u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  constexpr std::array<std::string_view, 4> kWords = {"retries", "route", "timeout", "perTryTimeout"};
  EXPECT_EQ(closest("retrys", kWords), "retries");
  EXPECT_EQ(closest("per_try_timeout", kWords), "perTryTimeout");
  EXPECT_EQ(closest("Timeout", kWords), "timeout");
  EXPECT_EQ(closest("xyz", kWords), std::nullopt);
  EXPECT_EQ(edit_distance(std::string(1000, 'a'), std::string(1000, 'b')), 64u);
}

const Node& only(const YamlStream& stream) {
  EXPECT_TRUE(stream.bad.empty()) << (stream.bad.empty() ? "" : to_string(stream.bad.front().error));
  EXPECT_EQ(stream.documents.size(), 1u);
  return stream.documents.at(0).root;
}

TEST(Yaml, KeepsThePlaceOfEveryKeyAndItem) {
  const YamlStream stream = read_yaml("# comment\na: 1\nb:\n- x\n-  y: {z: \"q\"}\n", "f.yaml");
  const Node& root = only(stream);
  EXPECT_EQ(root.members[0].line, 2);
  EXPECT_EQ(root.members[0].column, 1);
  EXPECT_EQ(root.members[0].value.column, 4);
  const Node& list = root.members[1].value;
  EXPECT_EQ(list.items[0].line, 4);
  EXPECT_EQ(list.items[0].column, 3);
  EXPECT_EQ(list.items[1].line, 5);
  EXPECT_EQ(list.items[1].column, 4);
  const Node& z = *list.items[1].at({"y", "z"});
  EXPECT_EQ(z.column, 11);
  EXPECT_TRUE(z.quoted);
}

TEST(Yaml, OneBadDocumentDoesNotHideTheOthers) {
  const YamlStream stream = read_yaml("a: 1\n---\nb: [1, 2\n---\nc: 3\n", "f.yaml");
  ASSERT_EQ(stream.documents.size(), 2u);
  EXPECT_EQ(stream.documents[1].root.members[0].key, "c");
  EXPECT_EQ(stream.documents[1].root.members[0].line, 5);
  EXPECT_EQ(stream.documents[1].text, "c: 3\n");
  ASSERT_EQ(stream.bad.size(), 1u);
  EXPECT_EQ(stream.bad[0].error.origin.file, "f.yaml");
  EXPECT_GE(stream.bad[0].error.origin.line, 2);
  EXPECT_LE(stream.bad[0].error.origin.line, 4);
}

struct StreamCase {
  std::string_view text;
  std::size_t documents;
};

TEST(Yaml, SplitsStreamsAtMarkers) {
  const StreamCase cases[] = {{"", 0},
                              {"---\n---\n", 0},
                              {"# only a comment\n", 0},
                              {"a: 1", 1},
                              {"---\na: 1\n...\n---\nb: 1\n", 2},
                              {"--- {a: 1}\n--- {b: 1}\n", 2},
                              {"%YAML 1.2\n---\na: 1\n", 1},
                              {"a: |\n  text\n  --- inside\nb: 1\n", 1},
                              {"a: 1\r\n---\r\nb: 2\r\n", 2},
                              {"\xEF\xBB\xBF" "a: 1\n", 1},
                              {"a: ---\n", 1},
                              {"a: 1\n---x: 2\n", 1}};
  for (const StreamCase& test : cases) {
    const YamlStream stream = read_yaml(test.text, "f");
    EXPECT_TRUE(stream.bad.empty()) << test.text << (stream.bad.empty() ? "" : to_string(stream.bad.front().error));
    EXPECT_EQ(stream.documents.size(), test.documents) << test.text;
  }
}

struct BadCase {
  std::string_view text, message;
  int line, column;
};

TEST(Yaml, RefusesWithThePlace) {
  const BadCase cases[] = {
      {"a: 1\nb: 2\na: 3\n", "the key \"a\" occurs twice, first in line 1", 3, 1},
      {"a:\n  x: 1\n  x: 2\n", "the key \"x\" occurs twice, first in line 2", 3, 3},
      {"a: *no\n", "the alias *no has no anchor &no before it", 1, 4},
      {"a: !go 1\n", "carries the tag !go, which means nothing here", 1, 8},
      {"? [a]\n: 1\n", "a key must be a word, not a list", 1, 3},
      {": 1\n", "a key is missing here", 1, 1},
      {"<<: 3\n", "`<<` merges mappings only", 1, 1},
  };
  for (const BadCase& test : cases) {
    const YamlStream stream = read_yaml(test.text, "f");
    ASSERT_EQ(stream.bad.size(), 1u) << test.text;
    EXPECT_EQ(stream.bad[0].error.message, test.message);
    EXPECT_EQ(stream.bad[0].error.origin.line, test.line) << test.text;
    EXPECT_EQ(stream.bad[0].error.origin.column, test.column) << test.text;
  }
  EXPECT_EQ(read_yaml(std::string_view("a: \0b", 5), "f").bad.size(), 1u);
}

TEST(Yaml, SyntaxErrorsNameTheirLine) {
  const std::pair<std::string_view, int> cases[] = {{"a: 1\n b: 2\n", 2}, {"a: \"x\n\nb: 2\n", 1}, {"a:\n\t- x\n", 2}, {"a: {b: 1\nc: 2\n", 1}, {"- a\nb: 1\n", 2}};
  for (const auto& [text, line] : cases) {
    const YamlStream stream = read_yaml(text, "f");
    ASSERT_EQ(stream.bad.size(), 1u) << text;
    const Origin& origin = stream.bad[0].error.origin;
    EXPECT_TRUE(stream.bad[0].error.message.starts_with("is not valid YAML")) << stream.bad[0].error.message;
    EXPECT_GE(origin.line, line) << text;
    EXPECT_LE(origin.line, line + 3) << text;
    EXPECT_GE(origin.column, 1) << text;
  }
}

// Found by fuzzing: libfyaml never came back from this one.
TEST(Yaml, RefusesWhatIsNotUtf8) {
  for (std::string_view text : {"%\xfd\n", "a: \xc0\x80\n", "a: \xed\xa0\x80\n", "a: \xf4\x90\x80\x80\n", "a: \xe2\x82", "a: \xff\n"}) {
    const YamlStream stream = read_yaml(text, "f.yaml");
    ASSERT_EQ(stream.bad.size(), 1U);
    EXPECT_EQ(stream.bad[0].error.message, "the file is not UTF-8 here");
    EXPECT_EQ(stream.bad[0].error.origin.line, 1);
  }
  EXPECT_FALSE(find_invalid_utf8("a \xc3\xa9 \xe2\x82\xac \xf0\x9f\x8d\x89 \xed\x9f\xbf").has_value());
}

TEST(Yaml, BoundsAliasesDepthAndSize) {
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string name = "a" + std::to_string(i), below = "*a" + std::to_string(i - 1);
    laughs += name + ": &" + name + " [" + below;
    for (int j = 0; j < 9; ++j) laughs += ", " + below;
    laughs += "]\n";
  }
  ASSERT_EQ(read_yaml(laughs, "f").bad.size(), 1u);
  EXPECT_EQ(read_yaml(laughs, "f").bad[0].error.code, ErrorCode::kOverLimit);
  EXPECT_EQ(read_yaml(std::string(1000, '['), "f").bad.size(), 1u);
  EXPECT_EQ(read_yaml(std::string(70, '[') + std::string(70, ']'), "f").bad.size(), 1u);
  EXPECT_EQ(read_yaml(std::string(40, '[') + std::string(40, ']'), "f").documents.size(), 1u);
  YamlLimits limits;
  limits.max_document_bytes = 10;
  EXPECT_EQ(read_yaml("a: 12345678\n---\nb: 1\n", "f", limits).documents.size(), 1u);
  limits.max_stream_bytes = 10;
  EXPECT_EQ(read_yaml("a: 12345678", "f", limits).bad.size(), 1u);
}

TEST(Yaml, CarriesOutAliasesAndMergeKeys) {
  const YamlStream stream = read_yaml("base: &b {x: 1, y: 2}\nmore:\n  <<: *b\n  y: 3\nagain: *b\n", "f");
  const Node& root = only(stream);
  EXPECT_EQ(root.at({"more", "x"})->scalar, "1");
  EXPECT_EQ(root.at({"more", "y"})->scalar, "3");
  EXPECT_EQ(root.at({"again", "y"})->scalar, "2");
}

TEST(Yaml, QuotedWordsAreStrings) {
  const YamlStream stream = read_yaml("a: \"true\"\nb: '12'\nc: !!str 12\nd: |\n  x\ne: true\nf: No\n", "f");
  const Node& root = only(stream);
  for (std::string_view key : {"a", "b", "c", "d"}) EXPECT_TRUE(root.find(key)->is_string()) << key;
  EXPECT_EQ(root.find("e")->scalar, "true");
  EXPECT_EQ(root.find("f")->scalar, "false");
}

bool same(const Node& a, const Node& b) {
  if (a.type != b.type || a.scalar != b.scalar || a.items.size() != b.items.size() || a.members.size() != b.members.size()) return false;
  for (std::size_t i = 0; i < a.items.size(); ++i)
    if (!same(a.items[i], b.items[i])) return false;
  for (std::size_t i = 0; i < a.members.size(); ++i)
    if (a.members[i].key != b.members[i].key || !same(a.members[i].value, b.members[i].value)) return false;
  return true;
}

TEST(YamlWriter, WritesWhatReadsBackEqual) {
  const std::string_view text =
      "a: {b: [1, [2, [], {}], {c: d, e: [f]}], g: \"true\", h: \"\", i: null, \"x: y\": 'a # b', j: \"line\\nline\", k: \"- x\", l: \"0123\", m: \"~\", n: \"\\u00e9\\t\", o: \"y\"}\n"
      "list:\n- - a\n  - b\n- {k: v, l: [1]}\n";
  const YamlStream first = read_yaml(text, "f");
  const std::string written = write_yaml(only(first));
  const YamlStream second = read_yaml(written, "g");
  EXPECT_TRUE(same(only(first), only(second))) << written;
  EXPECT_EQ(write_yaml(only(read_yaml("spec:\n  hosts: [reviews]\n  http:\n  - route:\n    - {destination: {host: reviews}}\n", "f"))),
            "spec:\n  hosts:\n  - reviews\n  http:\n  - route:\n    - destination:\n        host: reviews\n");
}

TEST(JsonWriter, PutsCommasEscapesAndIndents) {
  std::string out;
  JsonWriter(out).begin_object().member("a", 1).member("b", "x\"\\\n\x01\xff\xc3\xa9").key("c").begin_array().number(1.5).boolean(true).null().end_array().key("d").begin_object().end_object().end_object();
  EXPECT_EQ(out, "{\"a\":1,\"b\":\"x\\\"\\\\\\n\\u0001\xEF\xBF\xBD\xc3\xa9\",\"c\":[1.5,true,null],\"d\":{}}");
  out.clear();
  JsonWriter(out, 2).begin_object().member("a", true).key("b").begin_array().number(1).number(2).end_array().end_object();
  EXPECT_EQ(out, "{\n  \"a\": true,\n  \"b\": [\n    1,\n    2\n  ]\n}");
  out.clear();
  JsonWriter(out).begin_array().number(std::numeric_limits<double>::infinity()).number(std::numeric_limits<std::uint64_t>::max()).end_array();
  EXPECT_EQ(out, "[null,18446744073709551615]");
}

TEST(Json, ReadsWithPlaces) {
  const auto root = read_json("{\n \"a\": [1, \"\\u00e9\\/\", null, true],\n  \"b\": {\"c\": -1.5e3}\n}\n", "f.json");
  ASSERT_TRUE(root.has_value()) << to_string(root.error());
  EXPECT_EQ(root->members[1].key, "b");
  EXPECT_EQ(root->members[1].line, 3);
  EXPECT_EQ(root->members[1].column, 3);
  EXPECT_EQ(root->at({"b", "c"})->scalar, "-1.5e3");
  EXPECT_EQ(root->members[0].value.items[1].scalar, "\xc3\xa9/");
  EXPECT_EQ(root->members[0].value.items[2].type, Node::Type::kNull);
}

TEST(Json, RefusesBadText) {
  for (std::string_view text : {"", "{", "{\"a\":1,}", "{\"a\":1} x", "[1,]", "{\"a\":1,\"a\":2}", "{a:1}", "[tru]", "[\"\\x\"]", "[1 2]", "12", "[01]", "\x01"}) {
    const auto root = read_json(text, "f.json");
    ASSERT_FALSE(root.has_value()) << text;
    EXPECT_EQ(root.error().origin.file, "f.json");
    EXPECT_GE(root.error().origin.line, 1);
  }
  EXPECT_FALSE(read_json(std::string(100, '[') + std::string(100, ']'), "f").has_value());
}

}  // namespace
}  // namespace lateen::text
