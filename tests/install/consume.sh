#!/bin/sh
# SPDX-License-Identifier: MIT
# consume.sh SOURCE_DIR WORK_DIR CXX WAY BUILD_DIR: installs bulkhead into a folder of its own where WAY needs that,
# builds the consumer program against it in the way named, and runs it. BUILD_DIR has the static library.
# WAY: find_package_static, find_package_shared, add_subdirectory, pkg_config
set -eu
source_dir=$1
work=$2/$4
cxx=$3
way=$4
build=$5

quietly() {
  "$@" >"$work.log" 2>&1 || { cat "$work.log"; exit 1; }
}

configure_and_run() {
  quietly cmake -S "$1" -B "$work/consumer" -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_BUILD_TYPE=Debug \
    -DCMAKE_CXX_FLAGS_DEBUG=-g0 "$2"
  quietly cmake --build "$work/consumer" --parallel 2
  "$work/consumer/consumer"
}

install_static() {
  quietly cmake --install "$build" --prefix "$work/prefix"
}

install_shared() {
  quietly cmake -S "$source_dir" -B "$work/build" -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_BUILD_TYPE=Debug \
    -DCMAKE_CXX_FLAGS_DEBUG=-g0 \
    -DBULKHEAD_TESTS=OFF -DBULKHEAD_TOOLS=OFF -DBUILD_SHARED_LIBS=ON -DCMAKE_INSTALL_PREFIX="$work/prefix"
  quietly cmake --build "$work/build" --parallel 2 --target install
}

rm -rf "$work"
mkdir -p "$work"
case $way in
  find_package_static) install_static
    configure_and_run "$source_dir/tests/install/find_package" "-DCMAKE_PREFIX_PATH=$work/prefix" ;;
  find_package_shared) install_shared
    configure_and_run "$source_dir/tests/install/find_package" "-DCMAKE_PREFIX_PATH=$work/prefix" ;;
  add_subdirectory)
    configure_and_run "$source_dir/tests/install/add_subdirectory" "-DBULKHEAD_SOURCE_DIR=$source_dir" ;;
  pkg_config) install_static
    PKG_CONFIG_PATH=$(dirname "$(find "$work/prefix" -name bulkhead.pc)")
    export PKG_CONFIG_PATH
    # shellcheck disable=SC2046
    "$cxx" "$source_dir/tests/install/main.cpp" -o "$work/consumer" \
      $(pkg-config --cflags --libs --static bulkhead)
    "$work/consumer" ;;
  *) echo "consume.sh: no such way: $way" >&2; exit 2 ;;
esac
