#include "loader/xdp.h"

#include <linux/if_link.h>

namespace clusterip {
namespace {

std::uint32_t flag_of(XdpMode mode) noexcept {
  return mode == XdpMode::kGeneric ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
}

std::optional<SysError> set_program(int ifindex, int fd, std::uint32_t flags, int old_fd) noexcept {
  bpf_xdp_attach_opts options{};
  options.sz = sizeof options;
  options.old_prog_fd = old_fd;
  // libbpf adds XDP_FLAGS_REPLACE when there is an old program.
  const int error = bpf_xdp_attach(ifindex, fd, flags, old_fd > 0 ? &options : nullptr);
  if (error == 0) return std::nullopt;
  return SysError{.call = "attach the XDP program", .error = -error};
}

}  // namespace

Result<XdpState> find_xdp(int ifindex) {
  bpf_xdp_query_opts query{};
  query.sz = sizeof query;
  if (const int error = bpf_xdp_query(ifindex, 0, &query); error != 0) {
    return SysError{.call = "query XDP", .error = -error};
  }
  XdpState state;
  for (const auto& [id, mode] : {std::pair{query.drv_prog_id, XdpMode::kNative},
                                 std::pair{query.skb_prog_id, XdpMode::kGeneric},
                                 std::pair{query.hw_prog_id, XdpMode::kOff}}) {
    if (id == 0) continue;
    auto opened = open_program(id);
    if (const auto* error = std::get_if<SysError>(&opened)) {
      if (error->error == ENOENT) continue;
      return *error;
    }
    auto& program = std::get<Program>(opened);
    if (program.info.name == kXdpProgram && mode != XdpMode::kOff) {
      state.ours = XdpAttachment{.ifindex = ifindex, .mode = mode, .program = std::move(program)};
    } else {
      state.other_id = id;
    }
  }
  return state;
}

Result<XdpAttachment> attach_xdp(int ifindex, Program program, XdpMode mode) {
  const std::uint32_t flags = flag_of(mode) | XDP_FLAGS_UPDATE_IF_NOEXIST;
  if (const auto error = set_program(ifindex, program.fd.get(), flags, 0)) return *error;
  return XdpAttachment{.ifindex = ifindex, .mode = mode, .program = std::move(program)};
}

std::optional<SysError> XdpAttachment::replace(Program next) {
  const auto error = set_program(ifindex, next.fd.get(), flag_of(mode), program.fd.get());
  if (!error) program = std::move(next);
  return error;
}

std::optional<SysError> XdpAttachment::detach() const {
  const auto failed = set_program(ifindex, -1, flag_of(mode), program.fd.get());
  if (!failed) return std::nullopt;
  const auto found = find_xdp(ifindex);
  const auto* state = std::get_if<XdpState>(&found);
  if (state == nullptr) return failed;
  const bool is_there = state->ours && state->ours->program.info.id == program.info.id;
  return is_there ? failed : std::nullopt;
}

}  // namespace clusterip
