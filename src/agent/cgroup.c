/*
 * cgroup.c - finding the own group, reading and writing its files; see cgroup.h.
 */
#include "agent/cgroup.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/status.h"

#define INNER_DEPTH_MAX 16 /* of groups that a task may make inside its own */

static char text[PROCFS_TEXT_MAX];

static int status_of_errno(int error)
{
    switch (error) {
    case ENOENT:
    case ENODEV: /* a file of a group that was removed meanwhile */
        return STATUS_NOT_FOUND;
    case ESRCH:
        return STATUS_DEAD;
    case EBUSY:
    case ENOTEMPTY:
        return STATUS_STATE;
    case ENOMEM:
        return STATUS_NO_MEMORY;
    default:
        return STATUS_SYSTEM;
    }
}

static bool has_word(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = list; (at = strstr(at, word)); at += length)
        if ((at == list || at[-1] == ',') && (at[length] == ',' || at[length] == 0))
            return true;
    return false;
}

/* One line of mountinfo: "id parent dev root point options … - type source super-options". */
static bool mount_matches(char *line, int version, const char **ret_root, const char **ret_point)
{
    char *rest = strstr(line, " - ");
    if (!rest)
        return false;
    *rest = 0;
    char type[32], source[256], super[1024];
    if (sscanf(rest + 3, "%31s %255s %1023s", type, source, super) != 3)
        return false;
    if (version == 2 ? strcmp(type, "cgroup2") != 0 : strcmp(type, "cgroup") != 0 || !has_word(super, "memory"))
        return false;
    char *save, *word = strtok_r(line, " ", &save);
    for (int i = 0; word && i < 3; i++)
        word = strtok_r(NULL, " ", &save);
    const char *point = strtok_r(NULL, " ", &save);
    if (!word || !point)
        return false;
    *ret_root = word;
    *ret_point = point;
    return true;
}

/* The path after "<id>:<controllers>:" of the line for this version, in /proc/self/cgroup. */
static int own_path(const procfs *proc, int version, char ret[PATH_MAX])
{
    size_t length;
    int r = procfs_read(proc, "self/cgroup", text, sizeof text, &length);
    if (r < 0)
        return r;
    char *save;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = 0;
        controllers++;
        if (version == 2 ? *controllers != 0 : !has_word(controllers, "memory"))
            continue;
        if (strlen(path) >= PATH_MAX || strstr(path, "/.."))
            return STATUS_NOT_FOUND; /* above what this namespace may see */
        memcpy(ret, path, strlen(path) + 1);
        return 0;
    }
    return STATUS_NOT_FOUND;
}

int cgroup_find(const procfs *proc, const char *root, int version, cgroup_place *ret)
{
    static char path[PATH_MAX];
    int r = own_path(proc, version, path);
    if (r < 0)
        return r;
    size_t length;
    r = procfs_read(proc, "self/mountinfo", text, sizeof text, &length);
    if (r < 0)
        return r;
    char *save;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        const char *top, *point;
        if (!mount_matches(line, version, &top, &point))
            continue;
        /* A mount may show only a part of the tree, as in a container: ours must lie inside. */
        size_t n = strcmp(top, "/") == 0 ? 0 : strlen(top);
        if (strncmp(path, top, n) != 0 || (path[n] != '/' && path[n] != 0))
            continue;
        if ((size_t)snprintf(ret->mount, sizeof ret->mount, "%s%s", root, point) >= sizeof ret->mount)
            continue;
        snprintf(ret->own, sizeof ret->own, "%s", strcmp(path + n, "/") == 0 ? "" : path + n);
        return 0;
    }
    return STATUS_NOT_FOUND;
}

bytes_t cgroup_least_limit(const cgroup_place *place, const char *file)
{
    bytes_t least = UINT64_MAX;
    char own[PATH_MAX];
    static char path[3 * PATH_MAX];
    snprintf(own, sizeof own, "%s", place->own);
    for (;;) {
        uint64_t limit;
        snprintf(path, sizeof path, "%s%s/%s", place->mount, own, file);
        if (cgroup_read_number(AT_FDCWD, path, &limit) == 0 && limit < least)
            least = limit;
        char *slash = strrchr(own, '/');
        if (!slash)
            return least;
        *slash = 0;
    }
}

/* These files end with a line: a read that does not was cut short, unless the buffer is full. */
int cgroup_fd_text(int fd, char *to, size_t size)
{
    size_t have = 0;
    for (;;) {
        ssize_t got = pread(fd, to + have, size - 1 - have, (off_t)have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return status_of_errno(errno);
        have += (size_t)got;
        if (got == 0 || have == size - 1 || to[have - 1] == '\n')
            break;
    }
    while (have > 0 && to[have - 1] == '\n')
        have--;
    to[have] = 0;
    return 0;
}

static int parse_number(const char *from, uint64_t *ret)
{
    if (strcmp(from, "max") == 0) {
        *ret = UINT64_MAX;
        return 0;
    }
    char *end;
    errno = 0;
    uint64_t value = strtoull(from, &end, 10);
    if (!isdigit((unsigned char)*from) || *end || errno)
        return STATUS_CORRUPT;
    *ret = value;
    return 0;
}

int cgroup_fd_number(int fd, uint64_t *ret)
{
    char number[32];
    int r = cgroup_fd_text(fd, number, sizeof number);
    return r < 0 ? r : parse_number(number, ret);
}

int cgroup_read_text(int dir, const char *file, char *to, size_t size)
{
    int fd = openat(dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return status_of_errno(errno);
    int r = cgroup_fd_text(fd, to, size);
    close(fd);
    return r;
}

int cgroup_read_number(int dir, const char *file, uint64_t *ret)
{
    char number[32];
    int r = cgroup_read_text(dir, file, number, sizeof number);
    return r < 0 ? r : parse_number(number, ret);
}

int cgroup_write(int dir, const char *file, const char *value)
{
    int fd = openat(dir, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return status_of_errno(errno);
    ssize_t done;
    do
        done = write(fd, value, strlen(value));
    while (done < 0 && errno == EINTR); /* setting a limit may take a while */
    int error = errno;
    close(fd);
    return done < 0 ? (errno = error, status_of_errno(error)) : 0;
}

int cgroup_write_number(int dir, const char *file, uint64_t value)
{
    char number[32];
    snprintf(number, sizeof number, "%llu", (unsigned long long)value);
    return cgroup_write(dir, file, number);
}

uint64_t cgroup_field(const char *lines, const char *key)
{
    size_t length = strlen(key);
    for (const char *line = lines; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
        if (strncmp(line, key, length) == 0 && line[length] == ' ')
            return strtoull(line + length + 1, NULL, 10);
    return 0;
}

bool books_valid(const char *books)
{
    size_t n = strlen(books);
    if (n == 0 || n >= BOOKS_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)books[i]) && books[i] != '-' && books[i] != '_')
            return false;
    return true;
}

static int open_folder(int dir, const char *name, int *ret)
{
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return status_of_errno(errno);
    *ret = fd;
    return 0;
}

static int open_or_make(int dir, const char *name, bool make, int *ret, bool *ret_made)
{
    bool made = false;
    if (make) {
        if (mkdirat(dir, name, 0755) == 0)
            made = true;
        else if (errno != EEXIST)
            return status_of_errno(errno);
    }
    int r = open_folder(dir, name, ret);
    if (r == 0)
        *ret_made = made;
    return r;
}

int cgroup_books_open(const char *base, const char *books, bool make, int *ret)
{
    char name[sizeof CGROUP_PREFIX + BOOKS_MAX];
    bool made;
    int dir = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return status_of_errno(errno);
    snprintf(name, sizeof name, CGROUP_PREFIX "%s", books);
    int r = open_or_make(dir, name, make, ret, &made);
    close(dir);
    return r;
}

bool cgroup_folder_gone(int dir)
{
    return faccessat(dir, "cgroup.procs", F_OK, 0) < 0 && (errno == ENOENT || errno == ENODEV);
}

void cgroup_books_remove(const char *base, const char *books)
{
    char path[3 * PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/" CGROUP_PREFIX "%s", base, books);
    if (books[0] && n > 0 && (size_t)n < sizeof path)
        (void)rmdir(path); /* a claim lives in it: the next agent finds it there */
}

static bool generation_of(const char *name, uint64_t *ret)
{
    char *end;
    if (name[0] != 'c' || name[1] < '1' || name[1] > '9')
        return false;
    errno = 0;
    *ret = strtoull(name + 1, &end, 10);
    return errno == 0 && *end == 0;
}

int cgroup_list(int books_dir, generations *ret)
{
    int fd = openat(books_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    uint64_t *items = calloc(CLAIMS_MAX, sizeof *items);
    uint32_t count = 0;
    if (!dir || !items) {
        int r = items ? status_of_errno(errno) : STATUS_NO_MEMORY;
        if (dir)
            closedir(dir);
        else if (fd >= 0)
            close(fd);
        free(items);
        return r;
    }
    for (struct dirent *entry; count < CLAIMS_MAX && (entry = readdir(dir));)
        if (generation_of(entry->d_name, &items[count]))
            count++;
    closedir(dir);
    *ret = (generations){.items = items, .count = count};
    return 0;
}

int cgroup_group_open(int books_dir, uint64_t gen, bool make, int *ret, bool *ret_made)
{
    char name[32];
    snprintf(name, sizeof name, "c%llu", (unsigned long long)gen);
    return open_or_make(books_dir, name, make, ret, ret_made);
}

/* Calls `visit` with each folder right below `dir`. A folder has two links more than it has folders inside. */
static int each_inner(int dir, int depth, int (*visit)(int dir, const char *name, int depth, void *context),
                      void *context)
{
    struct stat info;
    if (fstat(dir, &info) < 0)
        return status_of_errno(errno);
    if (info.st_nlink <= 2)
        return 0; /* the common case */
    if (depth == INNER_DEPTH_MAX)
        return STATUS_LIMIT;
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (!folder) {
        int r = status_of_errno(errno);
        if (fd >= 0)
            close(fd);
        return r;
    }
    int r = 0;
    for (struct dirent *entry; r == 0 && (entry = readdir(folder));)
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
            r = visit(dir, entry->d_name, depth + 1, context);
    closedir(folder);
    return r;
}

/* Groups that a task made inside its own: only empty ones can be removed. */
static int remove_inner(int dir, const char *name, int depth, void *context)
{
    int fd = -1;
    int r = open_folder(dir, name, &fd);
    if (r == 0) {
        r = each_inner(fd, depth, remove_inner, context);
        close(fd);
    }
    if (r == 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0)
        r = status_of_errno(errno);
    return r == STATUS_NOT_FOUND ? 0 : r;
}

int cgroup_group_remove(int books_dir, uint64_t gen)
{
    char name[32];
    snprintf(name, sizeof name, "c%llu", (unsigned long long)gen);
    if (unlinkat(books_dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    if (errno != EBUSY && errno != ENOTEMPTY)
        return status_of_errno(errno);
    return remove_inner(books_dir, name, 0, NULL);
}

/*
 * Opened anew each time: version 1 builds the list when the file is opened and serves the same one to
 * every later read of that descriptor for a second.
 */
static int processes_of(int dir, pids *to)
{
    int fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return status_of_errno(errno);
    size_t kept = 0;
    int r = 0;
    for (;;) {
        ssize_t got = read(fd, text + kept, sizeof text - 1 - kept);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            r = status_of_errno(errno);
        if (got <= 0)
            break;
        size_t length = kept + (size_t)got;
        text[length] = 0;
        char *line = text;
        for (char *end; r == 0 && (end = strchr(line, '\n')); line = end + 1) {
            long pid = strtol(line, NULL, 10);
            if (pid > 0) /* 0: of a pid namespace that we do not see */
                r = pids_add(to, (pid_t)pid);
        }
        kept = length - (size_t)(line - text);
        memmove(text, line, kept);
        if (r < 0 || kept >= 64)
            break;
    }
    close(fd);
    return r;
}

static int inner_processes(int dir, const char *name, int depth, void *context)
{
    int fd = -1;
    int r = open_folder(dir, name, &fd);
    if (r == 0) {
        r = processes_of(fd, context);
        if (r == 0)
            r = each_inner(fd, depth, inner_processes, context);
        close(fd);
    }
    return r == STATUS_NOT_FOUND ? 0 : r;
}

int cgroup_processes(int dir, pids *to)
{
    int r = processes_of(dir, to);
    return r < 0 ? r : each_inner(dir, 0, inner_processes, to);
}

int cgroup_attach(int procs_fd, pid_t pid)
{
    char number[16];
    int length = snprintf(number, sizeof number, "%d", pid);
    if (write(procs_fd, number, (size_t)length) == length)
        return 0;
    return status_of_errno(errno);
}
