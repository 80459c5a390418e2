/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Preloaded into the programs of one gateway: a clock that is wrong, a kernel without NFQUEUE. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>

#define QUEUE 3    /* NFNL_SUBSYS_QUEUE */
#define NOBODY 14  /* no subsystem has this number: the kernel answers as it does for one it was built without */

static long shift(void)
{
    const char *seconds = getenv("LAB_CLOCK");
    return seconds ? atol(seconds) : 0;
}

int clock_gettime(clockid_t id, struct timespec *at)
{
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, at);
    if (!result && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        at->tv_sec += shift();
    return result;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    int (*real)(struct timeval *, void *) = dlsym(RTLD_NEXT, "gettimeofday");
    int result = real(at, zone);
    at->tv_sec += shift();
    return result;
}

time_t time(time_t *where)
{
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    if (where)
        *where = at.tv_sec;
    return at.tv_sec;
}

ssize_t send(int fd, const void *data, size_t octets, int flags)
{
    ssize_t (*real)(int, const void *, size_t, int) = dlsym(RTLD_NEXT, "send");
    int family = 0, protocol = 0;
    socklen_t size = sizeof family;
    char copy[4096];
    struct nlmsghdr *message = (struct nlmsghdr *)copy;
    if (!getenv("LAB_NO_NFQUEUE") || octets < sizeof *message || octets > sizeof copy
        || getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) || family != AF_NETLINK
        || getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) || protocol != NETLINK_NETFILTER)
        return real(fd, data, octets, flags);
    memcpy(copy, data, octets);
    if (message->nlmsg_type >> 8 == QUEUE)
        message->nlmsg_type = NOBODY << 8 | (message->nlmsg_type & 0xff);
    return real(fd, copy, octets, flags);
}
