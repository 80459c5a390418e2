# SPDX-License-Identifier: GPL-2.0-or-later
"""The part of the printed updown script that shows the guard, in nft's words and in those of iptables and ipset."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from openswan.base.marks import DEFAULT_MARKS, Marks
from openswan.engine.effects import GuardEntry
from openswan.host.guard.iptables import HOOKS, Contents, IptablesBackend
from openswan.host.guard.model import Element, GuardModel, Held, element, items
from openswan.host.guard.rules import TABLE
from openswan.host.guard.text import ruleset
from openswan.policy.selector import FlowKey

GUARD = """\
skeleton() {
    nft list table inet @NFT@ >/dev/null 2>&1 && return
    nft -f - <<'END'
@RULESET@END
}

elements() {
    # What overlaps (0.0.0.0/0 and our own client) is cut to pieces; without help from ipsec the plain pair serves.
    ipsec _updown --elements 2>/dev/null && return
    echo "rl${family#-} $PLUTO_PEER_CLIENT . $PLUTO_MY_CLIENT"
}

nft_guard() {
    skeleton || return
    nft add element inet @NFT@ interfaces "{ \\"$PLUTO_INTERFACE\\" }"
    elements | while read -r set element; do
        nft add element inet @NFT@ "$set" "{ $element }" || exit
    done
}

nft_unguard() {
    elements | while read -r set element; do
        nft delete element inet @NFT@ "$set" "{ $element }"
    done
}

xt_skeleton() {
    # The same model for machines without nft; it is for one ipsecN.
    iptables -w -t mangle -S ipsec-out >/dev/null 2>&1 && return
    ipset -exist restore <<'END' || return
@SETS@END
    iptables-restore -w --noflush <<END || return
@RULES4@END
    ip6tables-restore -w --noflush <<END || return
@RULES6@END
    for tool in iptables ip6tables; do
@JUMPS@    done
}

members() {
    # Rules, and what they look up first: `far' is every remote subnet.
    ipsec _updown --elements iptables 2>/dev/null && return
    echo "far $PLUTO_PEER_CLIENT"
    echo "ipsec-out-sel -s $PLUTO_MY_CLIENT -d $PLUTO_PEER_CLIENT -j DROP"
    echo "ipsec-in-sel -s $PLUTO_PEER_CLIENT -d $PLUTO_MY_CLIENT -j DROP"
}

xt_each() {
    members | while read -r what rest; do
        case "$what" in
        far) ipset -exist "$1" "ipsec-far${family#-}" "$rest" || exit ;;
        *)
            # shellcheck disable=SC2086 # words are wanted
            "$xtables" -w -t mangle "$2" "$what" $rest || exit
            ;;
        esac
    done
}

guard() {
    if have nft; then nft_guard; else xt_skeleton && xt_each add -A; fi
}

unguard() {
    if have nft; then nft_unguard; else xt_each del -D; fi
}
"""


def guard_text(marks: Marks = DEFAULT_MARKS) -> str:
    """Functions of the script, `guard` and `unguard` among them."""
    model = GuardModel()
    nowhere = FlowKey(ip_network("::1"), ip_network("::1"))
    model.replace("device", Held((GuardEntry(nowhere, "$PLUTO_INTERFACE"),)))
    paper = IptablesBackend.on_paper(marks)
    rules = {version: paper.rules_text(version, model) for version in (4, 6)}
    jumps = "".join(f'        "$tool" -w -t mangle -I {hook} 1 -j ipsec-{chain}\n' for chain, hook in HOOKS.items())
    sets = "".join(
        f"create ipsec-{name}{version} {kind} family {family} maxelem 4194304\n"
        for version, family in ((4, "inet"), (6, "inet6"))
        for name, kind in (("far", "hash:net"), ("known", "hash:net"), ("home", "hash:net,iface"))
    )
    # The device comes with the first guard.
    values = {"NFT": TABLE, "RULESET": ruleset(devices=("lo",), marks=marks), "SETS": sets, "JUMPS": jumps}
    values |= {f"RULES{version}": _without_selectors(text) for version, text in rules.items()}
    text = GUARD
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _without_selectors(text: str) -> str:
    return "".join(f"{line}\n" for line in text.splitlines() if not line.startswith("-A") or "-sel -s" not in line)


def guard_elements(flow: FlowKey) -> list[Element]:
    """The set elements that guard one flow, as if it were alone."""
    version = flow.src.version
    return sorted(element(plane, version, box) for plane, item in items(flow) for box in item.shapes())


def guard_rules(flow: FlowKey) -> Iterator[str]:
    """The same for iptables, as `ipsec _updown --elements iptables` prints it: members of `far`, and rules."""
    model = GuardModel()
    model.replace("flow", Held((GuardEntry(flow, "ipsec0"),)))
    contents, version = Contents(model, pairs_in_sets=False), flow.src.version
    yield from (f"far {net}" for net in sorted(contents.far[version]))
    for remote, local, out, back in contents.selectors[version]:
        yield f"ipsec-out-sel -s {local} -d {remote}{out} -j DROP"
        yield f"ipsec-in-sel -s {remote} -d {local}{back} -j DROP"
