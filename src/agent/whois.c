/*
 * whois.c - see whois.h.
 */
#include "agent/whois.h"

#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/status.h"

/* As the kernel has it since 6.13; headers in use are older. */
typedef struct {
    uint64_t mask, group;
    uint32_t pid, process, parent;
    uint32_t real_user, real_group, effective_user, effective_group, saved_user, saved_group, files_user, files_group;
    int32_t exit_code;
} pidfd_info;

_Static_assert(sizeof(pidfd_info) == 64, "the kernel tells versions apart by the size");

#define PIDFD_INFO    _IOWR(0xFF, 11, pidfd_info)
#define INFO_IDENTITY 1u /* bits of the mask */
#define INFO_USERS    2u

void whois_find_gate(procfs *p)
{
    char path[PATH_MAX + 16];
    struct stat file;
    struct statfs root;
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);
    if (n < 0 || fstatfs(p->dir, &root) < 0 || root.f_type != PROC_SUPER_MAGIC)
        return; /* not the kernel's own: a pidfd would not speak of what is told there */
    path[n] = 0;
    char *name = strrchr(path, '/');
    if (!name)
        return;
    strcpy(name, "/granary-gate");
    if (stat(path, &file) < 0)
        return;
    p->gate_device = file.st_dev;
    p->gate_file = file.st_ino;
}

int whois_waiting(const procfs *p, int pidfd, pid_t *ret_pid, procfs_process *ret)
{
    pidfd_info info = {.mask = INFO_IDENTITY | INFO_USERS};
    struct stat program;
    char path[32];
    if (p->gate_file == 0)
        return STATUS_NOT_FOUND;
    if (ioctl(pidfd, PIDFD_INFO, &info) < 0)
        return errno == ESRCH ? STATUS_DEAD : STATUS_NOT_FOUND;
    if ((info.mask & (INFO_IDENTITY | INFO_USERS)) != (INFO_IDENTITY | INFO_USERS) || info.process != info.pid)
        return STATUS_NOT_FOUND;
    snprintf(path, sizeof path, "%u/exe", info.process);
    if (fstatat(p->dir, path, &program, 0) < 0 || program.st_ino != p->gate_file || program.st_dev != p->gate_device)
        return STATUS_NOT_FOUND;
    *ret_pid = (pid_t)info.process;
    *ret = (procfs_process){.parent = (pid_t)info.parent,
                            .threads = 1,
                            .real = info.real_user,
                            .effective = info.effective_user,
                            .saved = info.saved_user};
    return 0;
}
