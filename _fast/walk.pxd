# SPDX-License-Identifier: GPL-2.0-or-later
from _fast.radij cimport radij_t
from _fast.types cimport eroute_t, flow_t

# The most specific eroute of each of up to MATCH_BATCH flows, or NULL, as the table was at some time of the look for each
# of the places it looked at; whether a change came between is the caller's to ask. `narrow` as in radij_match.
cdef void walk_all(radij_t *r, const flow_t **flows, int count, eroute_t **found, bint narrow) noexcept nogil
# The same of one.
cdef void walk_one(radij_t *r, const flow_t *flow, eroute_t **found, bint narrow) noexcept nogil
