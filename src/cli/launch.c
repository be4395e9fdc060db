#include "cli/launch.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/status.h"
#include "base/text.h"
#include "cli/exits.h"

struct launch_page {
    char allocation[24];
    char claim[GRANARY_BROKER_ID_MAX + 24];
    int error;
};

int launch_exit_of(int error)
{
    return error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUNNABLE;
}

int launch_runnable(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return errno;
    if (!S_ISREG(st.st_mode))
        return EACCES;
    return access(path, X_OK) == 0 ? 0 : errno;
}

/* As execvp(): the first file in PATH that may be executed; one that may not is remembered as the better excuse. */
static int path_search(const char *program, char path[PATH_MAX])
{
    const char *from = getenv("PATH");
    int error = ENOENT;

    if (!from)
        from = "/bin:/usr/bin";
    for (;;) {
        const char *end = strchrnul(from, ':');
        int n = snprintf(path, PATH_MAX, "%.*s%s%s", (int)(end - from), from, end > from ? "/" : "", program);
        if (n > 0 && n < PATH_MAX) {
            int e = launch_runnable(path);
            if (e == 0)
                return 0;
            if (e == EACCES)
                error = EACCES;
        }
        if (!*end)
            return error;
        from = end + 1;
    }
}

int launch_find(const char *program, char ret_path[PATH_MAX], int *ret_errno)
{
    char path[PATH_MAX];
    int error = *program == '\0' ? ENOENT : ENAMETOOLONG;

    if (*program && !strchr(program, '/'))
        error = path_search(program, path);
    else if (*program && text_copy(path, sizeof path, program))
        error = launch_runnable(path);
    if (error == 0) {
        memcpy(ret_path, path, strlen(path) + 1);
        return 0;
    }
    *ret_errno = error;
    return launch_exit_of(error);
}

int launch_lookup(const char *program, int *ret_errno)
{
    char path[PATH_MAX];

    return launch_find(program, path, ret_errno);
}

/* In the child: to the gate, and through it. */
static _Noreturn void child_run(granary_gate *gate, launch_page *page, char *const argv[], const char *socket)
{
    granary_gate_wait(gate);
    if (setenv("GRANARY_ALLOCATION", page->allocation, 1) != 0 || setenv("GRANARY_CLAIM", page->claim, 1) != 0 ||
        (socket && setenv("GRANARY_SOCKET", socket, 1) != 0)) {
        page->error = ENOMEM;
        _exit(EXIT_NOT_RUNNABLE);
    }
    execvp(argv[0], argv);
    page->error = errno;
    _exit(launch_exit_of(page->error));
}

int launch_fork(launch *ret, char *const argv[], const char *socket)
{
    launch l = {.page = mmap(NULL, sizeof *l.page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)};

    if (l.page == MAP_FAILED)
        return STATUS_NO_MEMORY;
    int pid = granary_gate_fork(&l.gate);
    if (pid == 0)
        child_run(&l.gate, l.page, argv, socket);
    if (pid < 0) {
        munmap(l.page, sizeof *l.page);
        return pid;
    }
    *ret = l;
    return 0;
}

int launch_open(launch *l, uint64_t allocation, const char *books, uint64_t claim)
{
    snprintf(l->page->allocation, sizeof l->page->allocation, "%" PRIu64, allocation);
    snprintf(l->page->claim, sizeof l->page->claim, "%s.%" PRIu64, books, claim);
    l->gate.claim = claim;
    return granary_gate_open(&l->gate);
}

int launch_errno(const launch *l)
{
    return l->page->error;
}

void launch_finish(launch *l)
{
    if (!l->page)
        return;
    granary_gate_finish(&l->gate);
    munmap(l->page, sizeof *l->page);
    l->page = NULL;
}
