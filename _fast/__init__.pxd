# SPDX-License-Identifier: GPL-2.0-or-later
# Makes `cimport _fast.x` work between the modules of this package.
