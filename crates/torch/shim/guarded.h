// Every function of the shim that Rust calls runs its body through `guarded`: no C++ exception leaves it.

#pragma once

#include <cstddef>
#include <cstring>
#include <exception>

// Returns 0, or 1 with a message truncated to the caller's buffer.
template <typename F>
int guarded(char *message, size_t capacity, F &&body) {
  const auto say = [&](const char *what) {
    if (capacity > 0) {
      std::strncpy(message, what, capacity - 1);
      message[capacity - 1] = '\0';
    }
  };
  try {
    body();
    return 0;
  } catch (const std::exception &e) {
    say(e.what());
  } catch (...) {
    say("unknown C++ exception");
  }
  return 1;
}
