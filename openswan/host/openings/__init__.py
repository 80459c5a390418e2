# SPDX-License-Identifier: GPL-2.0-or-later
"""What leftfirewall= and lefthostaccess= open in other people's packet filters while a tunnel is up.

`model` says what is let through, `xtables` and `nftables` put it into the filters there are, `openings` keeps it there.
"""
