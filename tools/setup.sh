# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What tools/demo and tools/test share; sourced by them, bash with `set -eu`. Brings a bare Debian
# 12 to the point where the project can be built; does nothing, quickly, where it is there already.
# shellcheck disable=SC2034 # the lists are for those who source this

BUILD_PACKAGES=(g++ cmake ninja-build pkg-config libboost-dev libcereal-dev libspdlog-dev)
TEST_PACKAGES=(
  libgtest-dev libgmock-dev libseccomp-dev python3 spin
  libpng-dev prometheus-cpp-dev nlohmann-json3-dev # also for the service in tools/examples
  zlib1g-dev libzstd-dev liblz4-dev
)
CHECK_PACKAGES=(clang clang-format git procps)
DEMO_PACKAGES=(libeigen3-dev libcli11-dev)

# quietly WHAT COMMAND...: runs the command and prints only WHAT and the time it took. If the
# command fails, prints all it said and returns its exit code.
quietly() {
  local what=$1 output code=0 start=$SECONDS
  shift
  printf '%s ... ' "$what" >&2
  output=$("$@" 2>&1 </dev/null) || code=$?
  if ((code != 0)); then
    printf 'failed:\n%s\n' "$output" >&2
    return "$code"
  fi
  printf 'done (%d s)\n' "$((SECONDS - start))" >&2
}

# test_jobs: how many tests to run at a time. Most of them wait most of the time.
test_jobs() { echo $(($(nproc) * 2)); }

# missing_packages PACKAGE...: prints those that are not installed, one per line.
missing_packages() {
  local installed package
  installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null) || true
  for package in "$@"; do
    grep -qxF "$package installed" <<<"$installed" || echo "$package"
  done
}

# need_packages PACKAGE...: installs what is missing, as root or by sudo. Where neither is to be
# had, says which packages are missing and how to install them, and ends the script: exit code 1.
need_packages() {
  local missing as_root=() apt
  if ! command -v dpkg-query >/dev/null; then
    echo "Not a Debian system; going on. The build needs what Debian calls: $*" >&2
    return 0
  fi
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]} > 0)) || return 0

  if ((EUID != 0)); then
    can_sudo || refuse "${missing[@]}"
    as_root=(sudo)
  fi
  apt=(
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive "PATH=$PATH:/usr/sbin:/sbin"
    apt-get -q -y -o DPkg::Lock::Timeout=120
  )
  # Old lists may still do, so a failed update is not the end yet.
  quietly "Updating the package lists" "${apt[@]}" update || true
  quietly "Installing ${missing[*]}" "${apt[@]}" install --no-install-recommends "${missing[@]}" ||
    refuse "${missing[@]}"
}

# can_sudo: whether sudo works, without a password or, at a terminal, by asking for one.
can_sudo() {
  command -v sudo >/dev/null || return 1
  sudo -n true 2>/dev/null || { [[ -t 0 ]] && sudo -v; }
}

# refuse PACKAGE...: says what is missing and how to install it, and ends the script.
refuse() {
  cat >&2 <<EOF

These Debian packages are missing: $*
Install them as root, then start this again:

  apt-get update && apt-get install --no-install-recommends $*
EOF
  exit 1
}
