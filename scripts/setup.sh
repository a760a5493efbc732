# Makes a fresh Debian 12/13 or Ubuntu 22.04/24.04 ready, and builds. For bash, from the root of the checkout:
#
#     . scripts/setup.sh run      what the demo and the daemon need
#     . scripts/setup.sh quick    what the tests need that run without root
#     . scripts/setup.sh test     what all tests need, and the demo and the daemon
#
# Only what is missing is installed, with a line saying what and why. Sourced, so that PATH and npm_config_nodedir
# carry on; everything it says goes to standard error. Returns non-zero, with one sentence, when it cannot.

setup_level=${1:?"usage: . scripts/setup.sh run|quick|test"}

# The Node.js that is brought when the machine has none, or an old one: as npm packages, which carry the headers too.
setup_node_version=22.23.3
setup_npm_version=10.9.9

# command or file : Debian package : why
setup_to_build="
g++                    : g++           : compiles the dataplane
make                   : make          : builds the dataplane
python3                : python3       : node-gyp writes the build files with it
/usr/include/pcap.h    : libpcap-dev   : the reference dataplane captures with it
"
setup_to_run="
nft                    : nftables      : guard and ARP table
ip                     : iproute2      : addresses, links, network namespaces
setpriv                : util-linux    : ends the lab's processes with the lab
curl                   : curl          : the demo's client
ping                   : iputils-ping  : ICMP through the virtual IP
"
# Of these the engine bpf is built, which is taken where it loads; without them userspace serves.
setup_to_build_bpf="
/usr/include/bpf/bpf.h : libbpf-dev    : builds the engine bpf
clang                  : clang         : builds the engine bpf
"
setup_to_check="
clang-format           : clang-format   : format check of the dataplane
"
setup_to_test="
arping                 : iputils-arping : ARP through the virtual IP
tcpdump                : tcpdump        : captures on the lab's LAN
iperf3                 : iperf3         : large segments through the virtual IP
ethtool                : ethtool        : turns off what a NIC does for the kernel
keepalived             : keepalived     : must not send from the virtual IP of its interface
clang++                : clang         : builds the fuzzers and the sanitized tests
llvm-cov               : llvm          : coverage of the verdict
clang-tidy             : clang-tidy     : static analysis of the dataplane
pacemakerd             : pacemaker      : the cluster test
corosync               : corosync       : the cluster test
crm                    : crmsh          : configures the cluster of that test
ocf-tester             : resource-agents : tests the resource agent
xmllint                : libxml2-utils  : ocf-tester checks the meta-data of the agent with it
systemd-analyze        : systemd        : checks the service
haproxy                : haproxy        : runs the recipe for HAProxy
nginx                  : nginx          : runs the recipe for nginx
unbound                : unbound        : runs the recipe for unbound
dig                    : bind9-dnsutils : asks that unbound
sshd                   : openssh-server : runs the recipe for sshd
ssh                    : openssh-client : logs in to that sshd
sysctl                 : procps         : sets what the recipes tell to set
lintian                : lintian        : checks the Debian package
"

# What a level cannot do without, and what it goes on without.
setup_needs() {
  echo "$setup_to_build"
  case $setup_level in
    run) echo "$setup_to_run" ;;
    test) echo "$setup_to_run$setup_to_build_bpf$setup_to_check$setup_to_test" ;;
  esac
}
setup_wants() {
  case $setup_level in
    run) echo "$setup_to_build_bpf" ;;
    quick) echo "$setup_to_check" ;;
  esac
}

setup_say() { echo "setup: $*" >&2; }

# Runs a command quietly; when it fails, its whole output is shown.
setup_quietly() {
  local log
  log=$(mktemp "${TMPDIR:-/tmp}/clusteripd-setup.XXXXXX")
  if "$@" >"$log" 2>&1 </dev/null; then
    rm -f "$log"
  else
    local status=$?
    cat "$log" >&2
    rm -f "$log"
    setup_say "this command failed with status $status: $*"
    return "$status"
  fi
}

setup_has() {
  case $1 in
    /*) [ -e "$1" ] ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
  esac
}

# Reads "command : package : why" lines; prints the missing packages, tells why on standard error.
setup_missing_packages() {
  local what package why
  while IFS=: read -r what package why; do
    read -r what <<<"$what"
    read -r package <<<"$package"
    if [ -z "$what" ] || setup_has "$what"; then continue; fi
    setup_say "missing $what, installing $package:$why"
    echo "$package"
  done
}

setup_install_packages() {
  [ $# -gt 0 ] || return 0
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
      setup_say "this needs root once: sudo apt-get install --no-install-recommends $*"
      return 1
    fi
    as_root=(sudo -n)
  fi
  if ! setup_has apt-get; then
    setup_say "there is no apt-get here: install these by hand: $*"
    return 1
  fi
  # iperf3 offers to run as a service; a test tool must not.
  if [[ " $* " == *" iperf3 "* ]] && setup_has debconf-set-selections; then
    echo "iperf3 iperf3/start_daemon boolean false" | "${as_root[@]}" debconf-set-selections
  fi
  local install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends)
  setup_quietly "${as_root[@]}" apt-get update && setup_without_services "${install[@]}" "$@" && setup_disable_services "$@"
}

# The services among the packages that were just installed, as "package:unit…". They are not to start at the next boot
# either: the tests run the programs by themselves.
setup_services="corosync:corosync.service pacemaker:pacemaker.service haproxy:haproxy.service nginx:nginx.service
  unbound:unbound.service openssh-server:ssh.service openssh-server:ssh.socket"

setup_disable_services() {
  local service
  setup_has systemctl || return 0
  for service in $setup_services; do
    if [[ " $* " == *" ${service%%:*} "* ]]; then
      # Which of the units a distribution has differs.
      "${as_root[@]}" systemctl disable --quiet "${service##*:}" >/dev/null 2>&1 || true
    fi
  done
}

# Corosync, Pacemaker and others would start when they are installed; here they only serve tests. Debian asks
# policy-rc.d first (invoke-rc.d(8)); where the machine has one of its own, that decides.
setup_without_services() {
  local policy=/usr/sbin/policy-rc.d status=0
  if [ -e "$policy" ]; then
    setup_quietly "$@"
    return
  fi
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
  setup_quietly "$@" || status=$?
  "${as_root[@]}" rm -f "$policy"
  return "$status"
}

# The runtimes of clang's sanitizers and fuzzer: Debian has a package of their own for them, older releases have
# them inside clang's. What counts is whether a program links with them.
setup_sanitizer_runtimes() {
  local probe package
  probe=$(mktemp -d "${TMPDIR:-/tmp}/clusteripd-setup.XXXXXX")
  echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' >"$probe/probe.cc"
  if ! clang++ -fsanitize=fuzzer,address "$probe/probe.cc" -o "$probe/probe" 2>/dev/null; then
    package=libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev
    setup_say "missing the runtimes of clang's sanitizers, installing $package: fuzzing and sanitized tests"
    setup_install_packages "$package"
  fi
  local status=$?
  rm -rf "$probe"
  return "$status"
}

setup_packages() {
  local packages
  packages=$(setup_missing_packages < <(setup_needs))
  # shellcheck disable=SC2086  # one word a package
  setup_install_packages $packages || return
  packages=$(setup_missing_packages < <(setup_wants))
  # shellcheck disable=SC2086
  setup_install_packages $packages || setup_say "going on without: $packages"
  if [ "$setup_level" = test ]; then setup_sanitizer_runtimes; fi
}

setup_node_is_recent() {
  setup_has node && setup_has npm && [ "$(node -p 'Number(process.versions.node.split(".")[0]) >= 20')" = true ]
}

# Node.js and npm below .tools, as npm packages; Debian's own npm is only the way to get them. What is there once is
# used from then on: that npm may have brought a Node.js that is recent enough, but not the one we built for.
setup_node() {
  local machine package
  case $(uname -m) in
    x86_64) machine=x64 ;;
    aarch64) machine=arm64 ;;
    *) machine=none ;;
  esac
  package=.tools/node_modules/node-linux-$machine
  if [ ! -x "$package/bin/node" ] || [ ! -x .tools/node_modules/.bin/npm ]; then
    setup_node_is_recent && return 0
    if [ "$machine" = none ]; then
      setup_say "install Node.js 20 or later and npm by hand: there is no package of them for $(uname -m)"
      return 1
    fi
    setup_say "Node.js 20 or later with npm is missing, installing $setup_node_version below .tools: runs clusteripd"
    if ! setup_has npm; then
      setup_say "missing npm, installing npm, ca-certificates: fetches Node.js and the libraries"
      setup_install_packages npm ca-certificates || return
    fi
    setup_quietly npm install --prefix .tools --no-save --no-audit --no-fund \
      "node-linux-$machine@$setup_node_version" "npm@$setup_npm_version" || return
  fi
  export PATH="$PWD/$package/bin:$PWD/.tools/node_modules/.bin:$PATH"
  hash -r
}

# Whether a directory has the headers of this very Node.js: cap and raw-socket work with no others.
setup_headers_fit() {
  local abi
  abi=$(node -p process.versions.modules)
  grep -qsE "define NODE_MODULE_VERSION $abi\$" "$1/include/node/node_version.h" "$1/src/node_version.h"
}

# node-gyp would download Node's headers; where they are on this machine already, it is told so.
setup_headers() {
  local directory
  for directory in "${npm_config_nodedir-}" "$(npm config get nodedir 2>/dev/null)" \
    "$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")"; do
    if setup_headers_fit "$directory"; then
      export npm_config_nodedir=$directory
      return
    fi
  done
}

setup_libraries() {
  # The lock inside node_modules is written by npm itself at the end of an installation.
  local installed=node_modules/.package-lock.json stamp=node_modules/.installed-with
  if [ ! -e "$installed" ] || [ package-lock.json -nt "$installed" ] ||
    { [ -e "$stamp" ] && [ "$(cat "$stamp")" != "$(node --version)" ]; }; then
    setup_say "installing the libraries of package-lock.json, building the dataplane"
    setup_quietly npm ci --no-audit --no-fund || return
    node --version >"$stamp"
  fi
  # cap and raw-socket build at installation; an npm that does not run their scripts unasked leaves that to us.
  local library
  for library in cap raw-socket; do
    if [ "$setup_level" = test ] && [ -d "node_modules/$library" ] &&
      ! ls "node_modules/$library/build/Release/"*.node >/dev/null 2>&1; then
      setup_say "building $library: the tests inject frames with it"
      setup_quietly npm rebuild --foreground-scripts "$library" || return
    fi
  done
}

setup_build() {
  # node-gyp configures once, at installation; after a clean-up of native/build that has to come first again, and so it
  # has when what the engine bpf is built with has come since, or other parts of the addons. It writes relative paths, so a
  # checkout that was moved has rules for what is not there: make finds them without running any.
  if [ ! -e native/build/Makefile ] || [ native/binding.gyp -nt native/build/Makefile ] ||
    ! make -C native/build --dry-run >/dev/null 2>&1 ||
    { [ ! -e native/build/clusteripd_bpf.target.mk ] && [ "$(node native/bpf/toolchain.cjs probe 2>/dev/null)" = 1 ]; }; then
    setup_quietly npm run install || return
  fi
  setup_quietly npm run build
}

# The last word, so that nobody overlooks it among what was installed.
setup_say_engines() {
  local why
  [ -e native/build/Release/clusteripd_bpf.node ] && return
  why=$(node native/bpf/toolchain.cjs why)
  setup_say "built without the engine bpf${why:+: $why}; the engine userspace serves"
}

# What a build by another user left behind, or a checkout of another one, cannot be built in.
setup_tree_is_writable() {
  local place
  for place in . .tools node_modules native/build dist; do
    if [ -e "$place" ] && [ ! -w "$place" ]; then
      setup_say "$(realpath "$place") belongs to $(stat -c %U "$place") and $(id -un) may not write to it: run this as" \
        "$(stat -c %U "$place"), or from a clone of your own"
      return 1
    fi
  done
}

setup() {
  case $setup_level in
    run | quick | test) ;;
    *) setup_say "unknown level $setup_level: run, quick or test"; return 2 ;;
  esac
  # An ordinary user's PATH has no place for the tools of the administrator.
  export PATH="$PATH:/usr/sbin:/sbin"
  setup_tree_is_writable && setup_packages && setup_node && setup_headers && setup_libraries && setup_build &&
    setup_say_engines
}

setup
