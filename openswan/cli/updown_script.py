# SPDX-License-Identifier: GPL-2.0-or-later
"""The default updown command as a POSIX shell script, generated from the same rules and numbers the daemon uses."""

from __future__ import annotations

from openswan.base.marks import DEFAULT_MARKS, Marks
from openswan.base.numbers import ROUTE_TABLE, RULE_PRIORITY
from openswan.cli.updown_guard import guard_text
from openswan.cli.updown_openings import openings_text
from openswan.host.resolvedit import HEAD, WAS
from openswan.host.routes import THROW_METRIC, TWIN_METRIC

TEMPLATE = """\
#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What pluto does by itself for leftupdown="ipsec _updown". Printed by `ipsec _updown --print`; a start for your own.
# The contract is in docs/UPDOWN.md. The guard-* and unguard-* verbs are shown for the reader: pluto never leaves
# them to a script, and while it runs it owns the table they speak of.

case "$PLUTO_VERSION" in
1.*)
    echo "$0: obsolete interface version \\`$PLUTO_VERSION', called by obsolete Pluto?" >&2
    exit 2
    ;;
2.*) ;;
*)
    echo "$0: PLUTO_VERSION is not set: this command is run by pluto" >&2
    exit 2
    ;;
esac

while [ $# -gt 0 ]; do
    case "$1" in
    custom | ipfwadm) shift ;;
    --route | --iproute)
        shift
        [ $# -gt 0 ] && shift
        ;;
    *)
        echo "$0: unknown parameters \\`$*'" >&2
        exit 2
        ;;
    esac
done

table=@TABLE@
family=-4
case "$PLUTO_PEER_CLIENT" in *:*) family=-6 ;; esac

ours() {
    # An address of ours inside our client, so that what this gateway itself sends fits the selector.
    [ -n "$PLUTO_MY_SOURCEIP" ] && echo "$PLUTO_MY_SOURCEIP" && return
    ip -o "$family" addr show to "$PLUTO_MY_CLIENT" | while read -r _ device _ address _; do
        case "$device" in lo | ipsec*) continue ;; esac
        echo "${address%/*}"
        break
    done
}

inside_theirs() {
    # Our client is part of theirs: what stays on our side must not be taken along.
    [ "$PLUTO_MY_CLIENT" != "$PLUTO_PEER_CLIENT" ] || return 1
    case "$PLUTO_PEER_CLIENT" in 0.0.0.0/0 | ::/0) return 0 ;; esac
    ipsec _updown --elements 2>/dev/null | grep -q '[.:][0-9a-f]*-'
}

rules() {
    for f in -4 -6; do
        ip $f rule show pref @PREF@ 2>/dev/null | grep -q . ||
            ip $f rule add pref @PREF@ not fwmark @MARK@/@MARK@ lookup "$table"
    done
}

try() {
    # What failed is for pluto's log, beside what ip says of it.
    "$@" && return
    status=$?
    echo "$0: \\`$*' failed with status $status" >&2
    return "$status"
}

doroute() {
    rules
    if [ -n "$PLUTO_MY_SOURCEIP" ] && [ -z "$(ip -o "$family" addr show to "$PLUTO_MY_SOURCEIP")" ]; then
        try ip "$family" addr add "$PLUTO_MY_SOURCEIP" dev "$PLUTO_INTERFACE" || return
    fi
    source=$(ours)
    # The blackhole first: should the next command fail, nothing goes elsewhere.
    try ip "$family" route replace blackhole "$PLUTO_PEER_CLIENT" proto static table "$table" metric @TWIN@ || return
    throws replace
    try ip "$family" route replace "$PLUTO_PEER_CLIENT" dev "$PLUTO_INTERFACE" proto static table "$table" \\
        ${source:+src "$source"} ${PLUTO_MTU:+mtu "$PLUTO_MTU"} ${PLUTO_METRIC:+metric "$PLUTO_METRIC"}
}

throws() {
    inside_theirs && ip "$family" route "$1" throw "$PLUTO_MY_CLIENT" proto static table "$table" metric @THROW@
    case "$PLUTO_PEER_CLIENT" in
    0.0.0.0/0) ip route "$1" throw 224.0.0.0/4 proto static table "$table" metric @THROW@ ;;
    ::/0)
        ip -6 route "$1" throw fe80::/10 proto static table "$table" metric @THROW@
        ip -6 route "$1" throw ff00::/8 proto static table "$table" metric @THROW@
        ;;
    esac
    return 0
}

undoroute() {
    ip "$family" route del "$PLUTO_PEER_CLIENT" dev "$PLUTO_INTERFACE" table "$table" \\
        ${PLUTO_METRIC:+metric "$PLUTO_METRIC"} 2>/dev/null
    throws del 2>/dev/null
    ip "$family" route del blackhole "$PLUTO_PEER_CLIENT" table "$table" metric @TWIN@ 2>/dev/null
    return 0
}

resolv=/etc/resolv.conf
head="@HEAD@
#for ${IPSEC_RUNDIR:-/run/pluto}"
words='(nameserver|search|domain)[[:space:]]'

resolv_is_ours() {
    [ ! -L "$resolv" ] && [ "$(head -n 2 "$resolv")" = "$head" ]
}

former() {
    # What it said before ours, whose lines it has kept behind a mark.
    case "$(head -n 1 "$resolv")" in
    '@HEAD@') sed -E -e '1,2d' -e "/^$words/d" -e 's/^@WAS@//' "$resolv" ;;
    *) cat "$resolv" ;;
    esac
}

updateresolvconf() {
    # Of one conn at a time; pluto itself remembers what each has told.
    [ "$PLUTO_NM_CONFIGURED" != 1 ] && [ -n "$PLUTO_CISCO_DNS_INFO" ] || return 0
    if [ -L "$resolv" ]; then
        echo "$0: $resolv is another program's, which has to be told by a command of yours (resolvectl dns)"
        return 0
    fi
    before=$(former) || return
    {
        echo "$head"
        search=$(echo "$before" | sed -n -E 's/^(search|domain)[[:space:]]+//p' | tr '\\n' ' ')
        [ -z "$PLUTO_CISCO_DOMAIN_INFO$search" ] || echo "search $PLUTO_CISCO_DOMAIN_INFO $search"
        for server in $PLUTO_CISCO_DNS_INFO; do echo "nameserver $server"; done
        echo "$before" | sed -E "s/^($words|@WAS@)/@WAS@&/"
    } >"$resolv"
}

restoreresolvconf() {
    [ "$PLUTO_NM_CONFIGURED" != 1 ] && resolv_is_ours || return 0
    before=$(former) || return
    echo "$before" >"$resolv"
}

@OPENINGS@
@GUARD@
case "$PLUTO_VERB" in
prepare-host | prepare-client | prepare-host-v6 | prepare-client-v6) ;; # adding a route replaces what stood there
route-host | route-client | route-host-v6 | route-client-v6) doroute ;;
unroute-host | unroute-client | unroute-host-v6 | unroute-client-v6) undoroute ;;
up-host | up-client | up-host-v6 | up-client-v6) every_filter open ;;
down-host | down-client | down-host-v6 | down-client-v6) every_filter close ;;
updateresolvconf-host | updateresolvconf-client | updateresolvconf-host-v6 | updateresolvconf-client-v6)
    updateresolvconf
    ;;
restoreresolvconf-host | restoreresolvconf-client | restoreresolvconf-host-v6 | restoreresolvconf-client-v6)
    restoreresolvconf
    ;;
disconnectNM-host | disconnectNM-client | disconnectNM-host-v6 | disconnectNM-client-v6) ;; # NetworkManager has its own
guard-host | guard-client | guard-host-v6 | guard-client-v6) guard ;;
unguard-host | unguard-client | unguard-host-v6 | unguard-client-v6) unguard ;;
*)
    echo "$0: unknown verb \\`$PLUTO_VERB' or parameter \\`$1'" >&2
    exit 1
    ;;
esac
"""


def script(marks: Marks = DEFAULT_MARKS) -> str:
    """The whole script."""
    values = {
        "HEAD": HEAD,
        "WAS": WAS,
        "OPENINGS": openings_text(),
        "GUARD": guard_text(marks),
        "TABLE": str(ROUTE_TABLE),
        "PREF": str(RULE_PRIORITY),
        "MARK": f"{marks.own:#x}",
        "TWIN": str(TWIN_METRIC),
        "THROW": str(THROW_METRIC),
    }
    text = TEMPLATE
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text
