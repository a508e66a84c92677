#include "cli/read_watch.h"

#include <sys/epoll.h>

namespace lateen::cli {

Result<std::unique_ptr<ReadWatch>> ReadWatch::start(net::EpollLoop& loop, int descriptor, std::function<void()> on_readable) {
  std::unique_ptr<ReadWatch> watch(new ReadWatch(loop, descriptor, std::move(on_readable)));
  LATEEN_TRY(watch->token_, loop.add_fd(descriptor, EPOLLIN, *watch));
  watch->registered_ = true;
  return watch;
}

ReadWatch::~ReadWatch() {
  if (registered_) loop_.remove_fd(token_, descriptor_);
}

void ReadWatch::also_writable(bool wanted) { loop_.modify_fd(token_, descriptor_, wanted ? EPOLLIN | EPOLLOUT : EPOLLIN); }

void ReadWatch::on_fd_events(std::uint32_t) { on_readable_(); }

}  // namespace lateen::cli
