// Ownership of file descriptors and the result of system calls, without exceptions.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <utility>
#include <variant>

namespace clusterip {

// A failed system call: its name and errno.
struct SysError {
  const char* call = "";
  int error = 0;
};

template <typename T>
using Result = std::variant<T, SysError>;

// Of a call about an interface: it is gone, and with it everything that was on it.
inline bool is_interface_gone(const SysError& failure) noexcept {
  return failure.error == ENODEV || failure.error == ENXIO;
}

inline SysError last_error(const char* call) noexcept { return {.call = call, .error = errno}; }

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  // The caller's from now on.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  void reset() noexcept {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

  int fd_ = -1;
};

}  // namespace clusterip
