#!/usr/bin/env bash
# Installs the Debian packages that tests/real signs in to and runs. None of them is started or configured: the tests
# start them on loopback, with files of their own.
#
#   install-servers.sh           install what is missing (root, or sudo without a password)
#   install-servers.sh --quiet   what `make test` does: install only where nobody's machine is changed unasked
#                                (CI, or a container), else say how to
set -euo pipefail

servers=(dovecot-core dovecot-imapd dovecot-pop3d dovecot-submissiond postfix libsasl2-modules)
programs=(swaks msmtp fetchmail isync mutt curl jq php-cli libphp-phpmailer)
optional=(chromium)   # renders the HTML report in one test; not every distribution has it under this name
policy=/usr/sbin/policy-rc.d

absent() {
    local package
    for package in "$@"; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
    done
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

how() {
    echo "Not installed: $*. The tests that need them are skipped; \`make servers\` installs them." >&2
    exit 0
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    command -v dovecot >/dev/null || how "Dovecot and Postfix (and this is no Debian)"
    exit 0
fi

mapfile -t required < <(absent "${servers[@]}" "${programs[@]}")
mapfile -t extra < <(absent "${optional[@]}")
[ $((${#required[@]} + ${#extra[@]})) -gt 0 ] || exit 0

if [ "${1:-}" = --quiet ] && [ "${CI:-}" != true ]; then
    [ "$(id -u)" = 0 ] && [ ! -d /run/systemd/system ] || how "${required[@]}" "${extra[@]}"
fi

# Debian asks this file before it starts a service; 101 means "not now".
if [ ! -e "$policy" ]; then
    trap 'as_root rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
fi

install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install --no-install-recommends -y "$@"
}

as_root apt-get -qq update
echo "postfix postfix/main_mailer_type select No configuration" | as_root debconf-set-selections
[ ${#required[@]} = 0 ] || install "${required[@]}"
for package in "${extra[@]}"; do
    install "$package" || echo "$package could not be installed; its test is skipped" >&2
done

# On a machine with systemd they would start at the next boot.
if [ -d /run/systemd/system ]; then
    for unit in postfix dovecot fetchmail; do
        case " ${required[*]} " in *" $unit"*) as_root systemctl disable "$unit" 2>/dev/null || true ;; esac
    done
fi
