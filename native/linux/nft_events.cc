#include "linux/nft_events.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace clusterip {
namespace {

// A burst that does not fit is told by an error, and that is enough: nobody needs the messages
// themselves.
constexpr int kBufferBytes = 1 << 20;
// The kernel writes several messages at once, up to some 8 KiB.
constexpr std::size_t kReadBytes = 32768;
constexpr int kReadsAtOnce = 256;

// Of all kinds of messages but NFT_MSG_NEWGEN the first attribute is the name of the table
// (NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE ... are all 1).
constexpr std::uint16_t kTableAttribute = NFTA_TABLE_NAME;

template <typename T>
T read_as(const unsigned char* at) noexcept {
  T value{};
  std::memcpy(&value, at, sizeof value);
  return value;
}

constexpr std::size_t aligned(std::size_t length) noexcept {
  return (length + 3) & ~std::size_t{3};
}

// `attributes`: what follows the two headers of a message.
bool names_table(const unsigned char* attributes, std::size_t length,
                 std::string_view table) noexcept {
  while (length >= sizeof(nlattr)) {
    const auto header = read_as<nlattr>(attributes);
    if (header.nla_len < sizeof header || header.nla_len > length) return false;
    if ((header.nla_type & NLA_TYPE_MASK) == kTableAttribute) {
      const std::size_t text = header.nla_len - sizeof header;
      // With the octet 0 at its end.
      return text == table.size() + 1 &&
             std::memcmp(attributes + sizeof header, table.data(), table.size()) == 0;
    }
    const std::size_t step = aligned(header.nla_len);
    if (step >= length) return false;
    attributes += step;
    length -= step;
  }
  return false;
}

}  // namespace

bool concerns_table(const unsigned char* octets, std::size_t length,
                    const std::string& table) noexcept {
  constexpr std::size_t kHeaders = sizeof(nlmsghdr) + sizeof(nfgenmsg);
  while (length >= sizeof(nlmsghdr)) {
    const auto header = read_as<nlmsghdr>(octets);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > length) return false;
    const bool is_of_nft = (header.nlmsg_type >> 8) == NFNL_SUBSYS_NFTABLES;
    if (is_of_nft && (header.nlmsg_type & 0xff) != NFT_MSG_NEWGEN && header.nlmsg_len > kHeaders &&
        names_table(octets + kHeaders, header.nlmsg_len - kHeaders, table)) {
      return true;
    }
    const std::size_t step = aligned(header.nlmsg_len);
    if (step >= length) return false;
    octets += step;
    length -= step;
  }
  return false;
}

Result<NftEvents> NftEvents::open(std::string table) noexcept {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (!fd) return last_error("socket(NETLINK_NETFILTER)");
  // More than rmem_max needs CAP_NET_ADMIN; with less there are more looks for nothing.
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kBufferBytes, sizeof kBufferBytes) < 0) {
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &kBufferBytes, sizeof kBufferBytes);
  }
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = 1u << (NFNLGRP_NFTABLES - 1);
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the sockets API
  const auto* to = reinterpret_cast<const sockaddr*>(&address);
  if (::bind(fd.get(), to, sizeof address) < 0) return last_error("bind(NETLINK_NETFILTER)");
  return NftEvents(std::move(fd), std::move(table));
}

bool NftEvents::read_changes() noexcept {
  std::array<unsigned char, kReadBytes> octets{};
  bool has_changed = false;
  for (int reads = 0; reads < kReadsAtOnce; ++reads) {
    const ssize_t length = ::recv(fd_.get(), octets.data(), octets.size(), MSG_TRUNC);
    if (length < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) break;
      // ENOBUFS: some are lost. Any other error is as good a reason to look, and there is no other
      // remedy.
      has_changed = true;
      continue;
    }
    const auto read = static_cast<std::size_t>(length);
    if (read > octets.size()) has_changed = true;
    if (!has_changed) has_changed = concerns_table(octets.data(), read, table_);
  }
  return has_changed;
}

}  // namespace clusterip
