// Changes of nft tables as the kernel tells them, filtered to one table. `nft monitor` tells them
// too, but it keeps a copy of everybody's rule set for that: when somebody loads a set of 200,000
// elements it is busy for seconds, and ours are missing meanwhile.
#pragma once

#include <string>

#include "linux/sys.h"

namespace clusterip {

class NftEvents {
 public:
  // `table`: changes of tables with this name, of any family.
  static Result<NftEvents> open(std::string table) noexcept;

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

  // Reads what waits, or as much as is reasonable in one go. Returns whether the table, or anything
  // in it, may have changed: also when the kernel had no room for all messages.
  bool read_changes() noexcept;

 private:
  NftEvents(Fd fd, std::string table) noexcept : fd_(std::move(fd)), table_(std::move(table)) {}

  Fd fd_;
  std::string table_;
};

// Whether one of the messages in `octets`, as read from a netlink socket, is about the table.
bool concerns_table(const unsigned char* octets, std::size_t length,
                    const std::string& table) noexcept;

}  // namespace clusterip
