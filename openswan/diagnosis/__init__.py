# SPDX-License-Identifier: GPL-2.0-or-later
"""Why it does not work: facts in, causes out, the most likely first."""
