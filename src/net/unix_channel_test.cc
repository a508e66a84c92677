#include "net/unix_channel.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

namespace lateen::net {
namespace {

class UnixChannel : public testing::Test {
 protected:
  UnixChannel() {
    char name[] = "/tmp/lateen-test-XXXXXX";
    folder_ = ::mkdtemp(name);
  }
  ~UnixChannel() override { std::filesystem::remove_all(folder_); }
  static unsigned mode(const std::string& path) {
    struct stat status {};
    return ::lstat(path.c_str(), &status) == 0 ? status.st_mode & 0777U : 0;
  }
  std::string folder_;
};

TEST_F(UnixChannel, SocketIsForItsUserOnlyWhateverTheUmask) {
  const mode_t before = ::umask(0);
  const auto listener = listen_unix(folder_ + "/s");
  ::umask(before);
  ASSERT_TRUE(listener) << listener.error().message;
  EXPECT_EQ(mode(folder_ + "/s"), 0600U);
}

TEST_F(UnixChannel, SecondListenerIsRefusedAndADeadOneReplaced) {
  {
    const auto first = listen_unix(folder_ + "/s");
    ASSERT_TRUE(first);
    EXPECT_EQ(listen_unix(folder_ + "/s").error().code, ErrorCode::kConflict);
  }
  EXPECT_EQ(connect_unix(folder_ + "/s").error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(listen_unix(folder_ + "/s"));
}

TEST_F(UnixChannel, KnowsTheUserAtTheOtherEnd) {
  const auto listener = listen_unix(folder_ + "/s");
  ASSERT_TRUE(listener);
  EXPECT_FALSE(accept_unix(listener->get()).value().valid());
  const auto client = connect_unix(folder_ + "/s");
  ASSERT_TRUE(client);
  const auto server = accept_unix(listener->get());
  ASSERT_TRUE(server && server->valid());
  EXPECT_EQ(peer_user(server->get()).value(), ::geteuid());
  EXPECT_EQ(peer_user(client->get()).value(), ::geteuid());
}

TEST_F(UnixChannel, PathsThatAreTooLongAreRefused) {
  EXPECT_EQ(connect_unix("/" + std::string(200, 'x')).error().code, ErrorCode::kInvalidConfig);
  EXPECT_EQ(listen_unix("").error().code, ErrorCode::kInvalidConfig);
}

TEST_F(UnixChannel, PrivateDirectoryIsMadeOrChecked) {
  const std::string path = folder_ + "/private";
  EXPECT_TRUE(make_private_directory(path));
  EXPECT_EQ(mode(path), 0700U);
  EXPECT_TRUE(make_private_directory(path));
  ::chmod(path.c_str(), 0755);
  EXPECT_EQ(make_private_directory(path).error().code, ErrorCode::kConflict);
  std::filesystem::create_symlink(folder_, folder_ + "/link");
  EXPECT_EQ(make_private_directory(folder_ + "/link").error().code, ErrorCode::kConflict);
  EXPECT_EQ(make_private_directory("/no/such/parent").error().code, ErrorCode::kSystem);
}

}  // namespace
}  // namespace lateen::net
