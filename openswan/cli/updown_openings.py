# SPDX-License-Identifier: GPL-2.0-or-later
"""The part of the printed updown script that opens packet filters, as openswan.host.openings does it in the daemon."""

from __future__ import annotations

from openswan.host.openings.model import LONGEST_REMARK, REMARK

OPENINGS = """\
have() { command -v "$1" >/dev/null 2>&1; }

xtables=iptables
[ "$family" = -4 ] || xtables=ip6tables
remark=$(printf %s "$PLUTO_CONNECTION" | tr -c 'A-Za-z0-9_./%-' _ | cut -c 1-@LONGEST@)
any=${PLUTO_MY_PROTOCOL:-0}
[ "$any" != 0 ] || any=${PLUTO_PEER_PROTOCOL:-0}
flows=${PLUTO_FLOWS:-"$PLUTO_MY_CLIENT,$PLUTO_PEER_CLIENT,$any,${PLUTO_MY_PORT:-0},${PLUTO_PEER_PORT:-0}"}

wanted() {
    # The rules leftfirewall= and lefthostaccess= ask for: chain, way, source, destination, their ports, protocol.
    # Of ICMP the source port is type and code, 0: any.
    forward='' host=''
    case "+$PLUTO_CONN_POLICY+" in
    *+FIREWALL+*) case "$PLUTO_VERB" in *-host | *-host-v6) host=yes ;; *) forward=yes ;; esac ;;
    esac
    case "+$PLUTO_CONN_POLICY+" in *+HOSTACCESS+*) host=yes ;; esac
    for flow in $flows; do
        # shellcheck disable=SC2046 # words are wanted
        set -- $(echo "$flow" | tr , ' ')
        near=$4 far=$5
        case "$3$family" in
        6-* | 17-* | 33-* | 132-* | 136-*) ;;
        1-4 | 58-6)
            [ "$near" != 0 ] || near=$far
            far=$near
            ;;
        *) near=0 far=0 ;;
        esac
        [ -z "$forward" ] || both fwd fwd "$@"
        [ -z "$host" ] || both in out "$@"
    done
}

both() {
    echo "ipsec-fw-$1 i $4 $3 $far $near $5"
    echo "ipsec-fw-$2 o $3 $4 $near $far $5"
}

filters() {
    # The iptables commands that have a table `filter' here; packets pass those of both kinds.
    for tool in "$xtables-legacy" "$xtables-nft" "$xtables"; do
        have "$tool" || continue
        version=$("$tool" -V)
        case "$tool $version" in
        "$xtables "*nf_tables*) ! have "$xtables-nft" || continue ;;
        "$xtables "*) ! have "$xtables-legacy" || continue ;;
        esac
        case "$version" in
        *nf_tables*) "$tool-save" -t filter 2>/dev/null | grep -q '^:' || continue ;;
        # To ask the older kind is to make the table.
        *) grep -qx filter "/proc/net/${xtables%tables}_tables_names" 2>/dev/null || continue ;;
        esac
        echo "$tool"
    done
}

hook() {
    case "$1" in *-fwd) echo forward ;; *-in) echo input ;; *) echo output ;; esac
}

xt_rule() {
    # What `wanted' says, for iptables; its ports are matched by the protocol's own match, or by multiport.
    name=$7 match=multiport s=s
    case "$7" in
    6) name=tcp match=tcp s='' ;;
    17) name=udp match=udp s='' ;;
    33) name=dccp match=dccp s='' ;;
    132) name=sctp match=sctp s='' ;;
    esac
    echo "-s $3 -d $4 -$2 $PLUTO_INTERFACE"
    [ "$7" = 0 ] || echo "-p $name"
    case "$7-$5" in
    1-0 | 58-0) ;;
    1-*) echo "-m icmp --icmp-type $(($5 / 256))/$(($5 % 256))" ;;
    58-*) echo "-m icmp6 --icmpv6-type $(($5 / 256))/$(($5 % 256))" ;;
    *)
        [ "$5$6" = 00 ] || echo "-m $match"
        [ "$5" = 0 ] || echo "--sport$s $5"
        [ "$6" = 0 ] || echo "--dport$s $6"
        ;;
    esac
    echo "-m comment --comment $remark -j ACCEPT"
}

xt_open() {
    tool=$1
    builtin=$(hook "$2" | tr '[:lower:]' '[:upper:]')
    # shellcheck disable=SC2046 # words are wanted
    set -- "$2" $(shift && xt_rule "$@")
    "$tool" -w -N "$1" 2>/dev/null
    "$tool" -w -C "$@" 2>/dev/null || "$tool" -w -A "$@" || return
    chain=$1
    set -- "$builtin" -m comment --comment "@REMARK@" -j "$chain"
    "$tool" -w -C "$@" 2>/dev/null && return
    shift
    "$tool" -w -I "$builtin" 1 "$@"
}

xt_close() {
    tool=$1
    builtin=$(hook "$2" | tr '[:lower:]' '[:upper:]')
    # shellcheck disable=SC2046 # words are wanted
    set -- "$2" $(shift && xt_rule "$@")
    "$tool" -w -D "$@" 2>/dev/null
    # With its last rule the chain goes.
    "$tool" -w -S "$1" 2>/dev/null | grep -q '^-A' && return
    "$tool" -w -D "$builtin" -m comment --comment "@REMARK@" -j "$1" 2>/dev/null
    "$tool" -w -X "$1" 2>/dev/null
}

chains() {
    # Other people's nft chains at a hook that may drop: family, table and chain. An accept of ours in another table
    # would not save a packet from them. Tables of iptables are its own tool's to change.
    nft list chains 2>/dev/null | while read -r first second third rest; do
        case "$first" in
        table) kind=$second owner=$third ;;
        chain) base=$second ;;
        type)
            case "$second $third $rest" in "filter hook $1 "*) ;; *) continue ;; esac
            case "$kind$family" in inet* | ip-4 | ip6-6) ;; *) continue ;; esac
            case "$owner" in openswan*) continue ;; esac
            case "$kind $base" in
            "ip FORWARD" | "ip6 FORWARD" | "ip "*PUT | "ip6 "*PUT) ! have "$xtables" || continue ;;
            esac
            nft list chain "$kind" "$owner" "$base" |
                grep -Eq '(^|[^[:alnum:]_.-])(drop|reject|queue|jump|goto|vmap)([^[:alnum:]_.-]|$)' || continue
            echo "$kind $owner $base"
            ;;
        esac
    done
}

nft_rule() {
    # What `wanted' says, for a table of family $1, as `nft -n list' shows it.
    ip=ip all=/32 number=2 name=''
    [ "$family" = -4 ] || ip=ip6 all=/128 number=10
    case "$8" in 6) name=tcp ;; 17) name=udp ;; 33) name=dccp ;; 132) name=sctp ;; 136) name=udplite ;; esac
    printf '%s' "${3}ifname \\"$PLUTO_INTERFACE\\""
    case "$1 $4 $5" in "inet "*/0\\ */0) printf ' %s' "meta nfproto $number" ;; esac
    case "$4" in */0) ;; *) printf ' %s' "$ip saddr ${4%"$all"}" ;; esac
    case "$5" in */0) ;; *) printf ' %s' "$ip daddr ${5%"$all"}" ;; esac
    case "$8-$6" in
    1-0 | 58-0) ;;
    1-*) printf ' %s' "icmp type $(($6 / 256)) icmp code $(($6 % 256))" ;;
    58-*) printf ' %s' "icmpv6 type $(($6 / 256)) icmpv6 code $(($6 % 256))" ;;
    *)
        [ "$6" = 0 ] || printf ' %s' "$name sport $6"
        [ "$7" = 0 ] || printf ' %s' "$name dport $7"
        ;;
    esac
    [ "$8" = 0 ] || [ "$6$7" != 00 ] || printf ' %s' "meta l4proto $8"
    printf ' accept comment "%s"' "$remark"
}

handles() {
    # Of the rules in a chain that read like $4.
    nft -a -n list chain "$1" "$2" "$3" 2>/dev/null | grep -F -- "$4" | sed 's/.* # handle //'
}

nft_open() {
    kind=$1 owner=$2 base=$3
    shift 3
    rule=$(nft_rule "$kind" "$@")
    nft add chain "$kind" "$owner" "$1" || return
    [ -n "$(handles "$kind" "$owner" "$1" "$rule #")" ] || nft add rule "$kind" "$owner" "$1" "$rule" || return
    [ -n "$(handles "$kind" "$owner" "$base" "jump $1 ")" ] ||
        nft insert rule "$kind" "$owner" "$base" jump "$1" comment '"@REMARK@"'
}

nft_close() {
    kind=$1 owner=$2 base=$3
    shift 3
    for handle in $(handles "$kind" "$owner" "$1" "$(nft_rule "$kind" "$@") #"); do
        nft delete rule "$kind" "$owner" "$1" handle "$handle"
    done
    # With its last rule the chain goes.
    [ -z "$(handles "$kind" "$owner" "$1" ' accept comment ')" ] || return
    for handle in $(handles "$kind" "$owner" "$base" "jump $1 "); do
        nft delete rule "$kind" "$owner" "$base" handle "$handle"
    done
    nft delete chain "$kind" "$owner" "$1" 2>/dev/null
}

every_filter() {
    # xt_$1 and nft_$1 for each rule that is wanted, in each filter that others have made here.
    wanted | while read -r chain way source target sport dport protocol; do
        set -- "$1" "$chain" "$way" "$source" "$target" "$sport" "$dport" "$protocol"
        for tool in $(filters); do
            "xt_$1" "$tool" "$2" "$3" "$4" "$5" "$6" "$7" "$8"
        done
        ! have nft || chains "$(hook "$2")" | while read -r kind owner base; do
            "nft_$1" "$kind" "$owner" "$base" "$2" "$3" "$4" "$5" "$6" "$7" "$8"
        done
    done
    # That a filter could not be opened is no reason to do without the tunnel.
    return 0
}
"""


def openings_text() -> str:
    """Functions of the script; every_filter opens or closes."""
    return OPENINGS.replace("@LONGEST@", str(LONGEST_REMARK)).replace("@REMARK@", REMARK)
