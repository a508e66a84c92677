// WorkerRunner: where a worker's loop runs. On a thread of its own in the program; on the caller's in the simulator.
#pragma once

#include <functional>

#include "net/loop.h"

namespace lateen::proxy {

class WorkerRunner {
 public:
  virtual ~WorkerRunner() = default;
  virtual net::Loop& loop() = 0;
  // Runs `work` where the loop runs and returns when it has run.
  virtual void call(const std::function<void()>& work) = 0;
};

}  // namespace lateen::proxy
