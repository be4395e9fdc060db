#include "daemon/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/status.h"

#define CONTROL_BOOKS_ID 32u /* hex digits */

int control_pair(int ret_fds[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret_fds) < 0 ? STATUS_SYSTEM : 0;
}

static int send_bytes(int fd, const char *bytes, size_t size, int end)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {.iov_base = (void *)bytes, .iov_len = size};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    if (end >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *m = CMSG_FIRSTHDR(&message);
        m->cmsg_level = SOL_SOCKET;
        m->cmsg_type = SCM_RIGHTS;
        m->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(m), &end, sizeof end);
    }
    ssize_t sent;
    do
        sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent == (ssize_t)size)
        return 0;
    return errno == EPIPE || errno == ECONNRESET ? STATUS_LOST : STATUS_SYSTEM;
}

void control_send(int fd, control_kind kind)
{
    char byte = (char)kind;
    if (fd >= 0)
        (void)send_bytes(fd, &byte, 1, -1);
}

void control_send_books(int fd, const char *id)
{
    char bytes[1 + CONTROL_BOOKS_ID] = {CONTROL_BOOKS};
    memcpy(bytes + 1, id, CONTROL_BOOKS_ID);
    if (fd >= 0)
        (void)send_bytes(fd, bytes, sizeof bytes, -1);
}

int control_send_link(int fd, int end)
{
    char byte = CONTROL_LINK;
    return send_bytes(fd, &byte, 1, end);
}

int control_receive(int fd, control_message *ret)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    char bytes[1 + CONTROL_BOOKS_ID];
    struct iovec iov = {.iov_base = bytes, .iov_len = sizeof bytes};
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t got;
    do
        got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (got <= 0)
        return got == 0 || errno == ECONNRESET ? STATUS_LOST : STATUS_SYSTEM;
    *ret = (control_message){.kind = (control_kind)bytes[0], .fd = -1};
    struct cmsghdr *m = CMSG_FIRSTHDR(&message);
    if (m && m->cmsg_level == SOL_SOCKET && m->cmsg_type == SCM_RIGHTS && m->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&ret->fd, CMSG_DATA(m), sizeof(int));
    if (got == sizeof bytes && ret->kind == CONTROL_BOOKS)
        memcpy(ret->books, bytes + 1, CONTROL_BOOKS_ID);
    return 1;
}
