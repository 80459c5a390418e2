# SPDX-License-Identifier: GPL-2.0-or-later
"""The leak guard: traffic of a protected selector leaves only through ipsecN and enters in clear from nowhere else."""
