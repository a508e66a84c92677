#include <gtest/gtest.h>

#include <string>

#include "model/mesh.h"
#include "model/read.h"

namespace lateen::model {
namespace {

TEST(ReadSecret, DecodesDataAndTakesTexts) {
  const ReadResult result = read_manifests(R"(apiVersion: v1
kind: Secret
metadata: {name: s, namespace: istio-system}
type: kubernetes.io/tls
immutable: true
data:
  tls.crt: Y2VydA==
  tls.key: "a2\nV5"
  ca.crt: b25l
stringData: {ca.crt: two}
)", "f.yaml");
  ASSERT_TRUE(result.problems.empty()) << to_string(result.problems.front());
  ASSERT_EQ(result.objects.size(), 1U);
  const auto& secret = std::get<Secret>(result.objects.front()->spec);
  EXPECT_EQ(secret.type, "kubernetes.io/tls");
  EXPECT_EQ(secret.data, (std::map<std::string, std::string>{{"ca.crt", "two"}, {"tls.crt", "cert"}, {"tls.key", "key"}}));
}

TEST(ReadSecret, RefusesWhatIsNotBase64) {
  for (const char* text : {"no base64!", "YQ", "YQ=", "YQ===", "Y=Q="}) {
    const ReadResult result = read_manifests("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {tls.crt: \"" + std::string(text) + "\"}\n", "f.yaml");
    ASSERT_EQ(result.problems.size(), 1U) << text;
    EXPECT_NE(to_string(result.problems.front()).find("data.tls.crt: is not base64"), std::string::npos) << to_string(result.problems.front());
  }
}

}  // namespace
}  // namespace lateen::model
