# SPDX-License-Identifier: GPL-2.0-or-later
"""IKEv1's payloads: one file each, with its drawing, parse and emit."""
