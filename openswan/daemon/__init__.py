# SPDX-License-Identifier: GPL-2.0-or-later
"""Objects wired together: the pluto process."""
