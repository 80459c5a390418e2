# SPDX-License-Identifier: GPL-2.0-or-later
"""IKEv2 payloads (RFC 7296 section 3), one file each."""
