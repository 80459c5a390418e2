# SPDX-License-Identifier: GPL-2.0-or-later
# The system calls and constants used, nothing more.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from * nogil:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <errno.h>
    #include <fcntl.h>
    #include <sched.h>
    #include <time.h>
    #include <unistd.h>
    #include <sys/epoll.h>
    #include <sys/eventfd.h>
    #include <sys/ioctl.h>
    #include <sys/mman.h>
    #include <sys/socket.h>
    #include <sys/uio.h>
    #include <netinet/in.h>
    #include <netinet/udp.h>
    #include <linux/if_tun.h>
    #include <linux/if_packet.h>
    #include <linux/if_ether.h>
    #ifndef UDP_SEGMENT
    #define UDP_SEGMENT 103
    #endif
    #ifndef UDP_GRO
    #define UDP_GRO 104
    #endif
    #ifndef TUN_F_USO4
    #define TUN_F_USO4 0x20
    #define TUN_F_USO6 0x40
    #endif
    #ifndef IP_PMTUDISC_OMIT
    #define IP_PMTUDISC_OMIT 5
    #endif
    #ifndef IPV6_PMTUDISC_OMIT
    #define IPV6_PMTUDISC_OMIT 5
    #endif
    static inline uint64_t ow_now(void) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    }
    static inline void ow_set_errno(int e) { errno = e; }
    static inline void ow_epoll(struct epoll_event *e, uint32_t events, uint64_t data) { e->events = events; e->data.u64 = data; }
    static inline uint64_t ow_epoll_data(struct epoll_event *e) { return e->data.u64; }
    """
    ctypedef long ssize_t
    struct iovec:
        void *iov_base
        size_t iov_len
    struct msghdr:
        void *msg_name
        uint32_t msg_namelen
        iovec *msg_iov
        size_t msg_iovlen
        void *msg_control
        size_t msg_controllen
        int msg_flags
    struct mmsghdr:
        msghdr msg_hdr
        unsigned int msg_len
    struct cmsghdr:
        size_t cmsg_len
        int cmsg_level
        int cmsg_type
    struct epoll_event:
        uint32_t events
    struct sockaddr_ll:
        uint16_t sll_family
        uint16_t sll_protocol
        int sll_ifindex
        uint8_t sll_halen
        uint8_t sll_addr[8]
    # A block of a TPACKET_V3 ring and a packet in it.
    struct tpacket_hdr_v1:
        uint32_t block_status
        uint32_t num_pkts
        uint32_t offset_to_first_pkt
    union tpacket_bd_header_u:
        tpacket_hdr_v1 bh1
    struct tpacket_block_desc:
        tpacket_bd_header_u hdr
    struct tpacket3_hdr:
        uint32_t tp_next_offset
        uint32_t tp_snaplen
        uint32_t tp_len
        uint16_t tp_net
    cmsghdr *CMSG_FIRSTHDR(msghdr *m)
    cmsghdr *CMSG_NXTHDR(msghdr *m, cmsghdr *c)
    uint8_t *CMSG_DATA(cmsghdr *c)
    size_t CMSG_LEN(size_t n)
    size_t CMSG_SPACE(size_t n)
    int errno
    enum:
        EAGAIN, EINTR, EMSGSIZE, EIO, EINVAL, ENOBUFS, ENOPROTOOPT, EOPNOTSUPP
        AF_INET, AF_INET6, SOL_SOCKET, SOL_UDP, IPPROTO_IP, IPPROTO_IPV6
        UDP_SEGMENT, UDP_GRO, IP_TOS, IP_RECVTOS, IPV6_TCLASS, IPV6_RECVTCLASS, IP_MTU_DISCOVER, IPV6_MTU_DISCOVER
        IP_PMTUDISC_OMIT, IPV6_PMTUDISC_OMIT, SO_RCVBUF, SO_SNDBUF, SO_RCVBUFFORCE, SO_SNDBUFFORCE
        MSG_DONTWAIT, MSG_TRUNC, MSG_CTRUNC
        IPV6_PKTINFO, IPV6_RECVPKTINFO, IPV6_HOPLIMIT, IPV6_RECVHOPLIMIT, IPV6_HOPOPTS, IPV6_RECVHOPOPTS
        IPV6_DSTOPTS, IPV6_RECVDSTOPTS, IPV6_RTHDR, IPV6_RECVRTHDR
        TUNSETOFFLOAD, TUNSETVNETHDRSZ, TUNSETVNETLE, TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6, TUN_F_TSO_ECN, TUN_F_USO4, TUN_F_USO6
        EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL, EPOLL_CLOEXEC
        AF_UNIX, SOCK_SEQPACKET, SOCK_CLOEXEC, SOCK_NONBLOCK, MSG_NOSIGNAL
        EFD_NONBLOCK, EFD_CLOEXEC, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC, O_NONBLOCK
        PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE, MAP_SHARED
        AF_PACKET, ETH_P_IP, ETH_P_IPV6, TP_STATUS_USER, TP_STATUS_KERNEL, SO_ERROR
    ssize_t read(int fd, void *buf, size_t n)
    ssize_t write(int fd, const void *buf, size_t n)
    ssize_t writev(int fd, const iovec *iov, int n)
    ssize_t recv(int fd, void *buf, size_t n, int flags)
    ssize_t send(int fd, const void *buf, size_t n, int flags)
    ssize_t sendmsg(int fd, const msghdr *m, int flags)
    int socketpair(int domain, int kind, int protocol, int *pair)
    ssize_t sendto(int fd, const void *buf, size_t n, int flags, const void *to, uint32_t tolen)
    int sendmmsg(int fd, mmsghdr *m, unsigned int n, int flags)
    int recvmmsg(int fd, mmsghdr *m, unsigned int n, int flags, void *timeout)
    int setsockopt(int fd, int level, int name, const void *value, uint32_t n)
    int getsockopt(int fd, int level, int name, void *value, uint32_t *n)
    int close(int fd)
    int sched_yield()
    int ioctl(int fd, unsigned long request, ...)
    int fcntl(int fd, int cmd, ...)
    int epoll_create1(int flags)
    int epoll_ctl(int ep, int op, int fd, epoll_event *e)
    int epoll_wait(int ep, epoll_event *e, int n, int timeout)
    int eventfd(unsigned int start, int flags)
    void *mmap(void *at, size_t n, int prot, int flags, int fd, long off)
    int munmap(void *at, size_t n)
    void set_errno "ow_set_errno"(int e)
    uint64_t coarse_now "ow_now"()
    void epoll_fill "ow_epoll"(epoll_event *e, uint32_t events, uint64_t data)
    uint64_t epoll_data "ow_epoll_data"(epoll_event *e)
