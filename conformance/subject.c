/* subject.c - starting, watching and ending the driven program, by /proc. */
#include "subject.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/status.h"

static void run(char *const argv[], int log, int failed)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(null, 0);
    dup2(log, 1);
    dup2(log, 2);
    execvp(argv[0], argv);
    int why = errno;
    ssize_t written = write(failed, &why, sizeof why);
    _exit(written == sizeof why ? 127 : 126);
}

int subject_start(subject *s, char *const argv[], const char *log_path)
{
    int failed[2], why;
    *s = (subject){.pidfd = -1};
    s->log = open(log_path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (s->log < 0 || pipe2(failed, O_CLOEXEC) < 0)
        return STATUS_SYSTEM;
    s->pid = fork();
    if (s->pid == 0)
        run(argv, s->log, failed[1]);
    close(failed[1]);
    ssize_t n = s->pid > 0 ? read(failed[0], &why, sizeof why) : -1;
    close(failed[0]);
    if (n == sizeof why) {
        waitpid(s->pid, NULL, 0);
        s->pid = 0;
        errno = why;
        return STATUS_NOT_FOUND;
    }
    if (s->pid > 0)
        s->pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
    return s->pidfd < 0 ? STATUS_SYSTEM : 0;
}

void subject_reap(subject *s)
{
    if (!s->ended && s->pid > 0 && waitpid(s->pid, &s->status, WNOHANG) == s->pid)
        s->ended = true;
}

/* ---- /proc ---- */

/* Reads a small file. False: it is gone. */
static bool slurp(const char *path, char *to, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, to, size - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return false;
    to[n] = '\0';
    return true;
}

/* State and session of a process or thread. */
static bool stat_read(const char *path, char *ret_state, pid_t *ret_session)
{
    char text[1024];
    int session;
    if (!slurp(path, text, sizeof text))
        return false;
    const char *at = strrchr(text, ')'); /* a name may hold anything */
    if (!at || sscanf(at + 1, " %c %*d %*d %d", ret_state, &session) != 2)
        return false;
    *ret_session = session;
    return true;
}

static bool is_number(const char *name)
{
    return isdigit((unsigned char)name[0]);
}

static uint64_t switches(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

/* All threads of one process. */
static bool threads_sleep(const char *pid, uint64_t *run)
{
    char path[600], text[4096], state;
    pid_t session;
    bool sleep = true;
    snprintf(path, sizeof path, "/proc/%s/task", pid);
    DIR *threads = opendir(path);
    struct dirent *e;
    while (threads && sleep && (e = readdir(threads))) {
        if (!is_number(e->d_name))
            continue;
        snprintf(path, sizeof path, "/proc/%s/task/%s/stat", pid, e->d_name);
        if (!stat_read(path, &state, &session))
            continue;
        snprintf(path, sizeof path, "/proc/%s/task/%s/status", pid, e->d_name);
        if (slurp(path, text, sizeof text))
            *run += 1 + switches(text, "\nvoluntary_ctxt_switches:") + switches(text, "nonvoluntary_ctxt_switches:");
        sleep = strchr("SZXtTI", state) != NULL;
    }
    if (threads)
        closedir(threads);
    return sleep;
}

bool subject_sleeps(const subject *s, uint64_t *ret_run)
{
    char path[300], state;
    pid_t session;
    bool sleep = true;
    struct dirent *e;
    DIR *all = opendir("/proc");
    *ret_run = 0;
    while (all && sleep && (e = readdir(all))) {
        if (!is_number(e->d_name))
            continue;
        snprintf(path, sizeof path, "/proc/%s/stat", e->d_name);
        if (stat_read(path, &state, &session) && session == s->pid)
            sleep = threads_sleep(e->d_name, ret_run);
    }
    if (all)
        closedir(all);
    return sleep && all;
}

void subject_finish(subject *s)
{
    char path[300], state;
    pid_t session;
    struct dirent *e;
    bool left = s->pid > 0;
    for (int round = 0; left && round < 100; round++) { /* what it starts while it is being ended */
        DIR *all = opendir("/proc");
        left = false;
        while (all && (e = readdir(all))) {
            snprintf(path, sizeof path, "/proc/%s/stat", e->d_name);
            if (!is_number(e->d_name) || !stat_read(path, &state, &session) || session != s->pid || state == 'Z')
                continue;
            kill((pid_t)strtol(e->d_name, NULL, 10), SIGKILL);
            left = true;
        }
        if (all)
            closedir(all);
        subject_reap(s);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ; /* orphans, which came to us */
        if (left)
            usleep(1000);
    }
    if (s->pid > 0 && !s->ended)
        waitpid(s->pid, &s->status, 0);
    if (s->pidfd >= 0)
        close(s->pidfd);
    if (s->log >= 0)
        close(s->log);
    *s = (subject){.pidfd = -1, .log = -1, .ended = true};
}

void subject_said(const subject *s, char *to, size_t size)
{
    off_t end = s->log >= 0 ? lseek(s->log, 0, SEEK_END) : 0;
    off_t from = end > (off_t)size - 1 ? end - (off_t)size + 1 : 0;
    ssize_t n = end > 0 ? pread(s->log, to, size - 1, from) : 0;
    to[n > 0 ? n : 0] = '\0';
    for (char *at = to; *at; at++)
        if (*at == '\n')
            *at = at[1] ? '|' : '\0';
}
