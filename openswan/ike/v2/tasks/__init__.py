# SPDX-License-Identifier: GPL-2.0-or-later
"""One exchange step each: build a request, process the answer, and the other way round."""
