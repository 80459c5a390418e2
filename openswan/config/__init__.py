# SPDX-License-Identifier: GPL-2.0-or-later
"""ipsec.conf and ipsec.secrets: text to policy objects, with complaints that name file and line."""
