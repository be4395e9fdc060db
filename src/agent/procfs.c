/*
 * procfs.c - reading /proc; see procfs.h.
 */
#include "agent/procfs.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/status.h"

#define SHORT_FILE_MAX 3072 /* records of the files read as short ones are far below the rest of a page */

static char text[PROCFS_TEXT_MAX];

int pids_reserve(pids *p, uint32_t count)
{
    if (p->capacity >= count)
        return 0;
    pid_t *items = realloc(p->items, count * sizeof *items);
    if (!items)
        return STATUS_NO_MEMORY;
    p->items = items;
    p->capacity = count;
    return 0;
}

int pids_add(pids *p, pid_t pid)
{
    if (p->count == PIDS_MAX) {
        p->cut = true;
        return 0;
    }
    int r = p->count < p->capacity ? 0 : pids_reserve(p, p->capacity ? p->capacity * 2 : 32);
    if (r == 0)
        p->items[p->count++] = pid;
    return r;
}

bool pids_has(const pids *p, pid_t pid)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (p->items[i] == pid)
            return true;
    return false;
}

void pids_free(pids *p)
{
    free(p->items);
    *p = (pids){0};
}

int procfs_open(procfs *ret, const char *root)
{
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return STATUS_SYSTEM;
    *ret = (procfs){.dir = fd};
    return 0;
}

void procfs_close(procfs *p)
{
    if (p->dir >= 0)
        close(p->dir);
    p->dir = -1;
}

/* ESRCH and ENOENT both say that the process ended while we looked. */
static int status_of_errno(int error)
{
    if (error == ENOENT || error == ESRCH)
        return STATUS_DEAD;
    if (error == EACCES || error == EPERM)
        return STATUS_DENIED;
    return STATUS_SYSTEM;
}

/* `short_file`: the kernel gives it in one piece, so less than a page at once is all; saves the read that finds the
 * end. */
static int read_file(const procfs *p, const char *path, char *to, size_t size, size_t *ret_length, bool short_file)
{
    int fd = openat(p->dir, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return status_of_errno(errno);
    size_t length = 0;
    while (length < size - 1) {
        ssize_t got = read(fd, to + length, size - 1 - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            int error = errno;
            close(fd);
            return status_of_errno(error);
        }
        if (got == 0)
            break;
        length += (size_t)got;
        if (short_file && got < SHORT_FILE_MAX)
            break;
    }
    close(fd);
    to[length] = 0;
    *ret_length = length;
    return 0;
}

int procfs_read(const procfs *p, const char *path, char *to, size_t size, size_t *ret_length)
{
    return read_file(p, path, to, size, ret_length, false);
}

static int read_text(const procfs *p, const char *path)
{
    size_t length;
    return read_file(p, path, text, sizeof text, &length, true);
}

/* The number after `key` at the start of a line of `text`. */
static bool field(const char *key, uint64_t *ret)
{
    size_t length = strlen(key);
    for (const char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        if (strncmp(line, key, length) != 0)
            continue;
        const char *at = line + length;
        while (*at == ' ' || *at == '\t')
            at++;
        if (!isdigit((unsigned char)*at))
            return false;
        errno = 0;
        uint64_t value = strtoull(at, NULL, 10);
        if (errno)
            return false;
        *ret = value;
        return true;
    }
    return false;
}

int procfs_meminfo(const procfs *p, procfs_memory *ret)
{
    uint64_t total, available;
    int r = read_text(p, "meminfo");
    if (r < 0)
        return r;
    if (!field("MemTotal:", &total) || !field("MemAvailable:", &available) || total > UINT64_MAX / 1024)
        return STATUS_CORRUPT;
    if (available > total)
        available = total;
    *ret = (procfs_memory){.total = KIB(total), .available = KIB(available)};
    return 0;
}

int procfs_boot_id(const procfs *p, char ret[40])
{
    int r = read_text(p, "sys/kernel/random/boot_id");
    if (r < 0)
        return r;
    size_t length = strcspn(text, "\n");
    if (length == 0 || length >= 40)
        return STATUS_CORRUPT;
    memcpy(ret, text, length);
    ret[length] = 0;
    return 0;
}

int procfs_process_read(const procfs *p, pid_t pid, procfs_process *ret)
{
    char path[64];
    snprintf(path, sizeof path, "%d/status", pid);
    int r = read_text(p, path);
    if (r < 0)
        return r;
    uint64_t parent, anonymous = 0, shared = 0, threads = 1;
    unsigned real, effective, saved;
    const char *uid = strstr(text, "\nUid:");
    const char *state = strstr(text, "\nState:");
    if (!field("PPid:", &parent) || parent > INT_MAX || !uid || !state ||
        sscanf(uid, "\nUid: %u %u %u", &real, &effective, &saved) != 3)
        return STATUS_CORRUPT;
    state += strlen("\nState:");
    state += strspn(state, " \t");
    /* A kernel thread or a zombie has no memory lines. */
    (void)field("RssAnon:", &anonymous);
    (void)field("RssShmem:", &shared);
    (void)field("Threads:", &threads);
    *ret = (procfs_process){.parent = (pid_t)parent,
                            .real = real,
                            .effective = effective,
                            .saved = saved,
                            .threads = (uint32_t)threads,
                            .resident = KIB(anonymous) + KIB(shared),
                            .zombie = *state == 'Z' || *state == 'X'};
    return 0;
}

int procfs_share(const procfs *p, pid_t pid, bytes_t *ret)
{
    char path[64];
    uint64_t anonymous = 0, shared = 0;
    snprintf(path, sizeof path, "%d/smaps_rollup", pid);
    int r = read_text(p, path);
    if (r < 0)
        return r;
    if (!field("Pss_Anon:", &anonymous) || !field("Pss_Shmem:", &shared))
        return STATUS_CORRUPT;
    *ret = KIB(anonymous) + KIB(shared);
    return 0;
}

int procfs_start(const procfs *p, pid_t pid, uint64_t *ret)
{
    enum { AFTER_NAME = 20 }; /* fields between the program's name, which may hold anything, and the start */
    char path[64];
    snprintf(path, sizeof path, "%d/stat", pid);
    int r = read_text(p, path);
    if (r < 0)
        return r;
    const char *at = strrchr(text, ')');
    for (int i = 0; at && i < AFTER_NAME; i++)
        at = strchr(at + 1, ' ');
    char *end = NULL;
    errno = 0;
    uint64_t start = at ? strtoull(at + 1, &end, 10) : 0;
    if (!at || end == at + 1 || errno)
        return STATUS_CORRUPT;
    *ret = start;
    return 0;
}

int procfs_oom_adjust(const procfs *p, pid_t pid, int *ret)
{
    char path[64];
    snprintf(path, sizeof path, "%d/oom_score_adj", pid);
    int r = read_text(p, path);
    if (r < 0)
        return r;
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || value < -1000 || value > 1000)
        return STATUS_CORRUPT;
    *ret = (int)value;
    return 0;
}

int procfs_pidfd_pid(const procfs *p, int pidfd, pid_t *ret)
{
    char path[64];
    snprintf(path, sizeof path, "self/fdinfo/%d", pidfd);
    int r = read_text(p, path);
    if (r < 0)
        return r;
    uint64_t pid;
    if (!strstr(text, "Pid:"))
        return STATUS_INVALID; /* a descriptor, but not of a process */
    if (!field("Pid:", &pid) || pid == 0 || pid > INT32_MAX)
        return STATUS_DEAD; /* "-1" once it was reaped, "0" in another pid namespace */
    *ret = (pid_t)pid;
    return 0;
}

static int add_all(pids *to)
{
    char *at = text;
    for (;;) {
        char *end;
        long pid = strtol(at, &end, 10);
        if (end == at || pid <= 0 || pid > INT_MAX)
            return 0; /* no number, or none that may be signalled */
        int r = pids_add(to, (pid_t)pid);
        if (r < 0)
            return r;
        at = end;
    }
}

static bool is_number(const char *name)
{
    return *name >= '1' && *name <= '9' && strlen(name) < 10;
}

int procfs_children_of_main(const procfs *p, pid_t pid, pids *to)
{
    char path[64];
    snprintf(path, sizeof path, "%d/task/%d/children", pid, pid);
    int r = read_text(p, path);
    return r < 0 ? r : add_all(to);
}

int procfs_children(const procfs *p, pid_t pid, pids *to)
{
    char path[300];
    snprintf(path, sizeof path, "%d/task", pid);
    int fd = openat(p->dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return status_of_errno(errno);
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return STATUS_NO_MEMORY;
    }
    int r = 0;
    for (struct dirent *entry; r == 0 && (entry = readdir(dir));) {
        if (!is_number(entry->d_name))
            continue;
        snprintf(path, sizeof path, "%d/task/%s/children", pid, entry->d_name);
        r = read_text(p, path);
        if (r == 0)
            r = add_all(to);
        else if (r == STATUS_DEAD)
            r = 0; /* one thread less */
    }
    closedir(dir);
    return r;
}

int procfs_pids(const procfs *p, pids *to)
{
    int fd = openat(p->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return STATUS_SYSTEM;
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return STATUS_NO_MEMORY;
    }
    int r = 0;
    for (struct dirent *entry; r == 0 && (entry = readdir(dir));)
        if (is_number(entry->d_name))
            r = pids_add(to, (pid_t)strtol(entry->d_name, NULL, 10));
    closedir(dir);
    return r;
}

int procfs_claim_of(const procfs *p, pid_t pid, const char *books, uint64_t *ret_gen)
{
    static const char name[] = "GRANARY_CLAIM=";
    char path[64];
    size_t length, books_length = strlen(books);
    snprintf(path, sizeof path, "%d/environ", pid);
    int r = procfs_read(p, path, text, sizeof text, &length);
    if (r < 0)
        return r;
    if (length == 0)
        return STATUS_BUSY;
    for (const char *at = text; at < text + length; at += strlen(at) + 1) {
        if (strncmp(at, name, sizeof name - 1) != 0)
            continue;
        const char *value = at + sizeof name - 1;
        if (strncmp(value, books, books_length) != 0 || value[books_length] != '.')
            return STATUS_NOT_FOUND;
        char *end;
        errno = 0;
        const char *digits = value + books_length + 1;
        uint64_t gen = strtoull(digits, &end, 10);
        if (!isdigit((unsigned char)*digits) || *end || errno || gen == 0)
            return STATUS_NOT_FOUND;
        *ret_gen = gen;
        return 0;
    }
    return STATUS_NOT_FOUND;
}
