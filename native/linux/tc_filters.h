// Whether anybody has a filter at the clsact qdisc of an interface (rtnetlink, RTM_GETTFILTER).
#pragma once

namespace clusterip {

// True also when it cannot be found out: the qdisc is then left alone.
bool has_tc_filters(int ifindex) noexcept;

}  // namespace clusterip
