#include "loader/call.h"

#include <linux/bpf.h>
#include <sys/syscall.h>

#include <bit>

namespace clusterip {
namespace {

constexpr std::uint32_t kTcxIngress = 46;    // BPF_TCX_INGRESS
constexpr std::uint32_t kReplace = 1u << 2;  // BPF_F_REPLACE
constexpr std::uint32_t kBefore = 1u << 3;   // BPF_F_BEFORE
constexpr std::uint32_t kMaxPrograms = 64;   // BPF_MPROG_MAX

// The members of union bpf_attr for BPF_PROG_ATTACH and BPF_PROG_DETACH.
struct AttachAttributes {
  std::uint32_t target_ifindex = 0;
  std::uint32_t attach_bpf_fd = 0;
  std::uint32_t attach_type = kTcxIngress;
  std::uint32_t attach_flags = 0;
  std::uint32_t replace_bpf_fd = 0;
  std::uint32_t relative_fd = 0;
  std::uint64_t expected_revision = 0;
};
static_assert(sizeof(AttachAttributes) == 32);

// Those for BPF_PROG_QUERY.
struct QueryAttributes {
  std::uint32_t target_ifindex = 0;
  std::uint32_t attach_type = kTcxIngress;
  std::uint32_t query_flags = 0;
  std::uint32_t attach_flags = 0;
  std::uint64_t prog_ids = 0;
  std::uint32_t count = 0;
  std::uint32_t padding = 0;
  std::uint64_t prog_attach_flags = 0;
  std::uint64_t link_ids = 0;
  std::uint64_t link_attach_flags = 0;
  std::uint64_t revision = 0;
};
static_assert(sizeof(QueryAttributes) == 64);

template <typename Attributes>
long bpf(enum bpf_cmd command, Attributes& attributes) noexcept {
  return ::syscall(SYS_bpf, command, &attributes, sizeof attributes);
}

std::optional<SysError> finish(long result, const char* call) noexcept {
  if (result >= 0) return std::nullopt;
  return last_error(call);
}

}  // namespace

Result<TcxPrograms> tcx_query(int ifindex) {
  TcxPrograms programs;
  programs.ids.resize(kMaxPrograms);
  QueryAttributes attributes{.target_ifindex = static_cast<std::uint32_t>(ifindex),
                             .prog_ids = std::bit_cast<std::uintptr_t>(programs.ids.data()),
                             .count = kMaxPrograms};
  if (bpf(BPF_PROG_QUERY, attributes) < 0) {
    // Nobody has attached anything yet.
    if (errno == ENOENT) return TcxPrograms{};
    return last_error("BPF_PROG_QUERY");
  }
  programs.ids.resize(attributes.count);
  programs.revision = attributes.revision;
  return programs;
}

std::optional<SysError> tcx_attach_first(int ifindex, int program_fd) {
  AttachAttributes attributes{.target_ifindex = static_cast<std::uint32_t>(ifindex),
                              .attach_bpf_fd = static_cast<std::uint32_t>(program_fd),
                              .attach_flags = kBefore};
  return finish(bpf(BPF_PROG_ATTACH, attributes), "BPF_PROG_ATTACH");
}

std::optional<SysError> tcx_replace(int ifindex, int program_fd, int old_program_fd) {
  AttachAttributes attributes{.target_ifindex = static_cast<std::uint32_t>(ifindex),
                              .attach_bpf_fd = static_cast<std::uint32_t>(program_fd),
                              .attach_flags = kReplace,
                              .replace_bpf_fd = static_cast<std::uint32_t>(old_program_fd)};
  return finish(bpf(BPF_PROG_ATTACH, attributes), "BPF_PROG_ATTACH");
}

std::optional<SysError> tcx_detach(int ifindex, int program_fd) {
  AttachAttributes attributes{.target_ifindex = static_cast<std::uint32_t>(ifindex),
                              .attach_bpf_fd = static_cast<std::uint32_t>(program_fd)};
  return finish(bpf(BPF_PROG_DETACH, attributes), "BPF_PROG_DETACH");
}

}  // namespace clusterip
