/*
 * spawn.c - see spawn.h.
 */
#include "cli/harvest/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/status.h"
#include "cli/exits.h"
#include "cli/launch.h"

#define GATE_PROGRAM "granary-gate"
#define GATE_FD      3
#define STACK_SIZE   65536u
#define OURS         3u /* variables that we set */

/* The child's side runs in our memory: no sanitizer may take its stack for ours. */
#define IN_CHILD __attribute__((noinline, no_sanitize("address", "undefined")))

int harvest_spawner_init(harvest_spawner *ret, const char *program, char *why, size_t size)
{
    static const char *const places[] = {"%s/" GATE_PROGRAM, "%s/../libexec/granary/" GATE_PROGRAM};
    harvest_spawner s = {.gate = ""};
    char copy[PATH_MAX], paths[2][PATH_MAX];

    (void)snprintf(s.program, sizeof s.program, "%s", program);
    memcpy(copy, s.program, sizeof copy);
    const char *folder = dirname(copy);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const int length = snprintf(paths[i], PATH_MAX, places[i], folder);
        const int error = length < 0 || length >= PATH_MAX ? ENAMETOOLONG : launch_runnable(paths[i]);
        if (error == 0) {
            memcpy(s.gate, paths[i], sizeof s.gate);
            *ret = s;
            return STATUS_OK;
        }
        if (error != ENOENT && error != ENOTDIR) {
            (void)snprintf(why, size,
                           "%s, in which tasks wait for their memory, cannot be executed: %s; install Granary "
                           "again",
                           paths[i], strerror(error));
            return STATUS_DENIED;
        }
    }
    (void)snprintf(why, size,
                   GATE_PROGRAM ", in which tasks wait for their memory, is missing: it is neither %s nor %s; "
                                "install Granary whole (make install)",
                   paths[0], paths[1]);
    return STATUS_NOT_FOUND;
}

/* A variable that we set hides the one that we were given. */
static bool is_hidden(const harvest_spawner *s, const char *variable)
{
    for (unsigned i = 0; i < s->n_owned; i++) {
        const size_t name = (size_t)(strchr(s->environment[i], '=') - s->environment[i]) + 1;
        if (strncmp(variable, s->environment[i], name) == 0)
            return true;
    }
    return false;
}

/* Takes over what asprintf() made. */
static int variable_add(harvest_spawner *s, int length, char *const *made)
{
    if (length < 0)
        return STATUS_NO_MEMORY;
    s->environment[s->n_owned++] = *made;
    return STATUS_OK;
}

int harvest_spawner_environ(harvest_spawner *s, const char *books, const char *socket)
{
    char *made = NULL;
    size_t n = 0;
    int status;

    while (environ[n])
        n++;
    s->environment = calloc(n + OURS + 1, sizeof *s->environment);
    if (!s->environment)
        return STATUS_NO_MEMORY;
    /* First these two, whose zeroes make room: the gate writes its numbers there. */
    status = variable_add(s, asprintf(&made, "GRANARY_CLAIM=%s%s%020d", books, *books ? "." : "", 0), &made);
    if (status == STATUS_OK)
        status = variable_add(s, asprintf(&made, "GRANARY_ALLOCATION=%020d", 0), &made);
    if (status == STATUS_OK && socket)
        status = variable_add(s, asprintf(&made, "GRANARY_SOCKET=%s", socket), &made);
    for (size_t i = 0, at = s->n_owned; status == STATUS_OK && i < n; i++)
        if (!is_hidden(s, environ[i]))
            s->environment[at++] = environ[i];
    return status;
}

void harvest_spawner_finish(harvest_spawner *s)
{
    for (unsigned i = 0; i < s->n_owned; i++)
        free(s->environment[i]);
    free(s->environment);
    free(s->name);
    *s = (harvest_spawner){.gate = ""};
}

/*
 * The tasks of a harvest mostly run the same program: it is looked up once. One that has moved is found by exec-task,
 * which is also told of one that is not there: the file "" is none.
 */
static int file_find(harvest_spawner *s, const char *name)
{
    char *copy;
    int error;

    if (s->name && strcmp(s->name, name) == 0)
        return STATUS_OK;
    if (launch_find(name, s->file, &error) != 0) {
        free(s->name); /* it may come */
        s->name = NULL;
        s->file[0] = '\0';
        return STATUS_OK;
    }
    copy = strdup(name);
    free(s->name);
    s->name = copy;
    return copy ? STATUS_OK : STATUS_NO_MEMORY;
}

/* ---- the child's side ---- */

typedef struct {
    const harvest_spawner *spawner;
    const harvest_child *child;
    char **argv;
    int gate;
    volatile int error; /* written by the child: the memory is one */
} birth;

/* Calls of the kernel only. The order matters: 3 may be any of the descriptors before it is the gate. */
IN_CHILD static int child_main(void *argument)
{
    birth *b = argument;
    const harvest_child *c = b->child;

    if (setpgid(0, 0) == 0 && dup2(c->in, 0) >= 0 && dup2(c->out, 1) >= 0 && dup2(c->err, 2) >= 0 &&
        (b->gate == GATE_FD ? fcntl(GATE_FD, F_SETFD, 0) : dup2(b->gate, GATE_FD)) >= 0) {
        (void)close_range(GATE_FD + 1, UINT_MAX, 0);
        (void)sigaction(SIGPIPE, c->pipe_action, NULL);
        if (c->files)
            (void)setrlimit(RLIMIT_NOFILE, c->files);
        if (sigprocmask(SIG_SETMASK, c->mask, NULL) == 0)
            (void)execve(b->spawner->gate, b->argv, b->spawner->environment);
    }
    b->error = errno;
    _exit(EXIT_FAILED);
}

/* ---- the parent's side ---- */

/* The gate's words: see src/gate/gate.c. The caller frees the array. */
static char **gate_words(harvest_spawner *s, char *const argv[])
{
    char **words;
    size_t n = 0;

    while (argv[n])
        n++;
    words = calloc(n + 3, sizeof *words);
    if (!words)
        return NULL;
    words[0] = s->program;
    words[1] = s->file;
    memcpy(words + 2, argv, n * sizeof *words);
    return words;
}

/* Returns when the child waits at its gate. Errors as harvest_spawn(); a child that never came there is reaped. */
static int child_start(birth *b, granary_gate *ret)
{
    static char stack[STACK_SIZE] __attribute__((aligned(64))); /* one: who starts a child waits for its exec */
    int pidfd = -1;
    const int pid = clone(child_main, stack + sizeof stack, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, b, &pidfd);

    if (pid < 0)
        return STATUS_SYSTEM;
    if (b->error == 0 && pidfd >= 0) {
        ret->pid = pid;
        ret->pidfd = pidfd;
        return STATUS_OK;
    }
    if (pidfd >= 0)
        close(pidfd);
    (void)waitpid(pid, NULL, 0);
    errno = b->error;
    return b->error == E2BIG ? STATUS_LIMIT : STATUS_NOT_FOUND;
}

static int gate_start(const harvest_spawner *s, const harvest_child *child, char **words, granary_gate *ret)
{
    int ends[2], status, error;
    granary_gate gate = {.pidfd = -1};

    if (pipe2(ends, O_CLOEXEC) != 0)
        return STATUS_SYSTEM;
    birth b = {.spawner = s, .child = child, .argv = words, .gate = ends[0]};
    status = child_start(&b, &gate);
    error = errno;
    close(ends[0]);
    if (status == STATUS_OK) {
        gate.fd = ends[1];
        *ret = gate;
        return STATUS_OK;
    }
    close(ends[1]);
    errno = error;
    return status;
}

int harvest_spawn(harvest_spawner *s, const harvest_child *child, granary_gate *ret)
{
    int status = file_find(s, child->argv[0]);
    char **words;

    if (status < 0)
        return status;
    words = gate_words(s, child->argv);
    if (!words)
        return STATUS_NO_MEMORY;
    status = gate_start(s, child, words, ret);
    free(words);
    return status;
}

int harvest_spawn_open(granary_gate *gate, uint64_t allocation)
{
    const uint64_t numbers[] = {gate->claim, allocation};
    ssize_t n;

    do
        n = write(gate->fd, numbers, sizeof numbers); /* less than PIPE_BUF: whole or not at all */
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EPIPE ? STATUS_DEAD : STATUS_SYSTEM;
    close(gate->fd);
    gate->fd = -1;
    return STATUS_OK;
}

void harvest_exec(char *const argv[])
{
    execvp(argv[0], argv);
    const int error = errno;
    dprintf(STDERR_FILENO, "granary harvest: cannot execute %s: %s%s\n", argv[0], strerror(error),
            strchr(argv[0], ' ') ? " (a command line for the shell needs --shell)" : "");
    _exit(launch_exit_of(error));
}
