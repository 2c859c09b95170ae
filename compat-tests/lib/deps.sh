#!/usr/bin/env bash
# The same as deps.py, for stages written in shell: fetches the Java servers, exit code 77 when a tool is missing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if ! command -v python3 >/dev/null; then
  echo "deps: python3 not on the PATH; every stage is skipped"
  [ "${CI:-}" = true ] && exit 1
  exit 77
fi
exec python3 "$here/deps.py" "$@"
