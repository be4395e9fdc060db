#include "daemon/child.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/status.h"

#define FIRST_DESCRIPTOR (CONTROL_FD + 1)
#define HIGH_DESCRIPTOR  64   /* above every number that the child expects */
#define STABLE_MS        5000 /* a child that lived so long after it was ready is counted anew */
#define GIVE_UP          6u   /* early deaths in a row */
#define PAUSE_FIRST_MS   20
#define PAUSE_MOST_MS    5000

int child_program(const char *name, char to[PATH_MAX])
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0)
        return STATUS_NOT_FOUND;
    self[n] = '\0';
    const char *directory = dirname(self);
    const char *const places[] = {"%s/%s", "%s/../libexec/granary/%s"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        int size = snprintf(to, PATH_MAX, places[i], directory, name);
        if (size > 0 && size < PATH_MAX && access(to, F_OK) == 0)
            return 0;
    }
    return STATUS_NOT_FOUND;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

/* Puts the descriptors where the child expects them. Only calls that are safe after fork. */
static void place_descriptors(const int *from, size_t n)
{
    int high[CHILD_DESCRIPTORS + 1];
    for (size_t i = 0; i < n; i++) {
        high[i] = from[i] < 0 ? -1 : fcntl(from[i], F_DUPFD_CLOEXEC, HIGH_DESCRIPTOR);
        if (from[i] >= 0 && high[i] < 0)
            _exit(126);
    }
    for (size_t i = 0; i < n; i++)
        if (high[i] >= 0 && dup2(high[i], CONTROL_FD + (int)i) < 0)
            _exit(126);
    unsigned first = CONTROL_FD + (unsigned)n;
    syscall(SYS_close_range, first, ~0u, CLOSE_RANGE_CLOEXEC); /* older kernels: all of ours are so anyway */
}

static void __attribute__((noreturn)) run(const child_command *command, const char *path, int program, int control)
{
    int from[CHILD_DESCRIPTORS + 1] = {control, command->descriptors[0], command->descriptors[1]};
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0); /* a terminal's signals are for the supervisor alone */
    place_descriptors(from, CHILD_DESCRIPTORS + 1);
    if (command->who)
        identity_become(command->who);
    execv(path, command->arguments);
    /* Its directory may be closed to the user that it runs as: the file itself was opened before. */
    syscall(SYS_execveat, program, "", command->arguments, environ, AT_EMPTY_PATH);
    _exit(127);
}

int child_start(child *c, uv_loop_t *loop, const child_command *command, uv_poll_cb on_control, void *userdata)
{
    char path[PATH_MAX];
    int pair[2] = {-1, -1};
    int r = child_program(command->program, path);
    if (r < 0)
        return r;
    int program = open(path, O_PATH | O_CLOEXEC);
    uv_poll_t *poll = malloc(sizeof *poll);
    if (program < 0 || !poll || control_pair(pair) < 0 || uv_poll_init(loop, poll, pair[0]) < 0) {
        if (program >= 0)
            close(program);
        if (pair[0] >= 0)
            close(pair[0]);
        if (pair[1] >= 0)
            close(pair[1]);
        free(poll);
        return STATUS_SYSTEM;
    }
    poll->data = userdata;
    pid_t pid = fork();
    if (pid == 0)
        run(command, path, program, pair[1]);
    close(program);
    close(pair[1]);
    if (pid < 0) {
        uv_close((uv_handle_t *)poll, on_closed);
        close(pair[0]);
        return STATUS_SYSTEM;
    }
    uv_poll_start(poll, UV_READABLE, on_control);
    c->pid = pid;
    c->control = pair[0];
    c->poll = poll;
    c->started = uv_hrtime() / 1000000;
    c->ready = false;
    return 0;
}

void child_forget(child *c)
{
    if (c->poll)
        uv_close((uv_handle_t *)c->poll, on_closed);
    if (c->control >= 0)
        close(c->control);
    c->poll = NULL;
    c->control = -1;
    c->pid = 0;
}

int64_t child_pause(child *c, ms_t now, bool shortage)
{
    if (c->ready && now - c->started >= STABLE_MS)
        c->failures = 0;
    if (!c->ready && !shortage && c->failures + 1 >= GIVE_UP)
        return -1;
    int64_t pause = (int64_t)PAUSE_FIRST_MS << (c->failures < 10 ? c->failures : 10);
    c->failures++;
    return pause < PAUSE_MOST_MS ? pause : PAUSE_MOST_MS;
}
