// RequestObserver: told of each request once, when it has ended. The access log and the metrics stand behind it.
#pragma once

#include "proxy/request_record.h"

namespace lateen::proxy {

class RequestObserver {
 public:
  virtual ~RequestObserver() = default;
  // On the worker's thread. The record's views are valid for the call only.
  virtual void on_request_end(const RequestRecord& record) = 0;
};

}  // namespace lateen::proxy
