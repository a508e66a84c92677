// FreedBy<function>: the deleter of a std::unique_ptr whose object a C library frees.
#pragma once

namespace lateen {

template <auto kFree>
struct FreedBy {
  template <class T>
  void operator()(T* owned) const { kFree(owned); }
};

}  // namespace lateen
