# SPDX-License-Identifier: GPL-2.0-or-later
"""The leak guard: traffic of a protected selector leaves only through ipsecN and enters in clear from nowhere else.

model turns connections into elements of sets, rules is the one table of rules, nft and iptables put both into the
kernel, guard is what the daemon talks to.
"""
