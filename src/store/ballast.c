/*
 * ballast.c - allocated, not sparse: a hole would keep nothing.
 */
#include "store/ballast.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

bool ballast_grow(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    int r;
    do
        r = posix_fallocate(fd, 0, BALLAST_BYTES);
    while (r == EINTR);
    close(fd);
    if (r != 0) {
        unlinkat(dir, name, 0);
        errno = r;
    }
    return r == 0;
}

bool ballast_give(int dir, const char *name)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_blocks == 0)
        return false;
    return unlinkat(dir, name, 0) == 0;
}
