# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint32_t, uint64_t

from _fast.plant cimport worker_t
from _fast.segment cimport segmenter_t
from _fast.types cimport packet_info_t, path_t, sa_t

# Stage and seal all of a frame for an SA whose key is `apart`; nothing of it may need fragments inside, and none of it is
# longer than `most`. The frame is written to, and FRAME_SLACK octets behind it. False: not this one, nothing is done.
cdef bint onepass(worker_t *w, sa_t *sa, path_t *path, segmenter_t *s, packet_info_t *info, uint32_t limit,
                  uint32_t most, uint64_t *packets, uint64_t *octets) noexcept nogil
