#!/usr/bin/env bash
# Puts the mail libraries of Node that tests/mock tries into .cache/npm of this checkout: nothing of the machine changes.
# Without Node nothing happens, and their tests are skipped. With Node, a failure counts in CI only.
set -euo pipefail
cd "$(dirname "$0")/../.."

libraries=(nodemailer@10.6.0 imapflow@1.7.8)
home=.cache/npm
wanted="${libraries[*]}"

command -v node >/dev/null && command -v npm >/dev/null || exit 0
[ "$(cat "$home/.installed" 2>/dev/null)" != "$wanted" ] || exit 0
mkdir -p "$home"
if npm install --silent --no-save --no-package-lock --no-audit --no-fund --ignore-scripts --prefix "$home" \
    "${libraries[@]}" >/dev/null; then
    echo "$wanted" >"$home/.installed"
else
    echo "Not installed: $wanted. Their tests are skipped." >&2
    [ "${CI:-}" != true ]
fi
