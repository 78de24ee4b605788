#!/usr/bin/env bash
# Installs the build into an empty folder, builds a small C program against it both ways, and runs it.
#   check_install.sh BUILD_FOLDER CMAKE C_COMPILER GENERATOR
set -euo pipefail
build=$1 cmake=$2 cc=$3 generator=$4
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$cmake" --install "$build" --prefix "$work/prefix" >"$work/log" || { cat "$work/log"; exit 1; }

echo "find_package(limpid):"
"$cmake" -G "$generator" -S "$here/consumer" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$work/prefix" >"$work/log" 2>&1 &&
  "$cmake" --build "$work/cmake" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
[ "$(timeout 20 "$work/cmake/consumer")" = hello ]

if ! command -v pkg-config >/dev/null; then
  echo "SKIP: no pkg-config"
  exit 77
fi
echo "pkg-config limpid:"
pc=$(dirname "$(find "$work/prefix" -name limpid.pc)")
export PKG_CONFIG_PATH=$pc${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
# shellcheck disable=SC2046
"$cc" "$here/consumer/consumer.c" $(pkg-config --cflags --libs limpid) -o "$work/by_pkg_config"
[ "$(timeout 20 "$work/by_pkg_config")" = hello ]
echo "both ways compile, link and run"
