// Every function of the shim catches all C++ exceptions. It returns 0, or 1 with a message truncated to the caller's buffer.

#pragma once

#include <ATen/core/Tensor.h>

#include <cstring>
#include <exception>

inline int say(char *message, size_t capacity, const char *what) {
  if (capacity > 0) {
    std::strncpy(message, what, capacity - 1);
    message[capacity - 1] = '\0';
  }
  return 1;
}

template <typename F>
int guarded(char *message, size_t capacity, F &&body) {
  try {
    body();
    return 0;
  } catch (const std::exception &e) {
    return say(message, capacity, e.what());
  } catch (...) {
    return say(message, capacity, "unknown C++ exception");
  }
}

inline const at::Tensor &tensor(const void *p) { return *static_cast<const at::Tensor *>(p); }

// A tensor that may be absent.
inline at::Tensor optional(const void *p) { return p ? tensor(p) : at::Tensor(); }
