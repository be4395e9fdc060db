/* subject.c - starting, watching and ending the driven program, by /proc. */
#include "subject.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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

typedef struct {
    pid_t pid, parent, session;
    char state;
    bool ours;
} process;

#define PROCESSES_MAX 8192u

static bool stat_read(const char *path, process *ret)
{
    char text[1024];
    int parent, session;
    if (!slurp(path, text, sizeof text))
        return false;
    const char *at = strrchr(text, ')'); /* a name may hold anything */
    if (!at || sscanf(at + 1, " %c %d %*d %d", &ret->state, &parent, &session) != 3)
        return false;
    ret->parent = parent;
    ret->session = session;
    return true;
}

static bool is_number(const char *name)
{
    return isdigit((unsigned char)name[0]);
}

/* Marks what the program started: its session, its descendants, and those whose parents ended, which came to us. */
static void crowd_mark(const subject *s, process *all, size_t n)
{
    bool more = true;
    for (size_t i = 0; i < n; i++)
        all[i].ours = all[i].pid == s->pid || all[i].session == s->pid || all[i].parent == getpid();
    while (more) {
        more = false;
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n && !all[i].ours; j++)
                if (all[j].ours && all[j].pid == all[i].parent)
                    all[i].ours = more = true;
    }
}

/* All processes of the machine. Valid until the next call. */
static size_t crowd_read(const subject *s, const process **ret)
{
    static process all[PROCESSES_MAX];
    char path[300];
    size_t n = 0;
    struct dirent *e;
    DIR *proc = opendir("/proc");
    while (proc && n < PROCESSES_MAX && (e = readdir(proc))) {
        snprintf(path, sizeof path, "/proc/%s/stat", e->d_name);
        if (!is_number(e->d_name) || !stat_read(path, &all[n]))
            continue;
        all[n++].pid = (pid_t)strtol(e->d_name, NULL, 10);
    }
    if (proc)
        closedir(proc);
    crowd_mark(s, all, n);
    *ret = all;
    return n;
}

static uint64_t switches(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

/* All threads of one process. */
static bool threads_sleep(pid_t pid, uint64_t *run)
{
    char path[600], text[4096];
    process thread;
    bool sleep = true;
    struct dirent *e;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    while (threads && sleep && (e = readdir(threads))) {
        if (!is_number(e->d_name))
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/stat", (int)pid, e->d_name);
        if (!stat_read(path, &thread))
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/status", (int)pid, e->d_name);
        if (slurp(path, text, sizeof text))
            *run += 1 + switches(text, "\nvoluntary_ctxt_switches:") + switches(text, "nonvoluntary_ctxt_switches:");
        sleep = strchr("SZXtTI", thread.state) != NULL;
    }
    if (threads)
        closedir(threads);
    return sleep;
}

bool subject_sleeps(const subject *s, uint64_t *ret_run)
{
    const process *all;
    size_t n = crowd_read(s, &all);
    bool sleep = n > 0;
    *ret_run = 0;
    for (size_t i = 0; i < n && sleep; i++)
        if (all[i].ours)
            sleep = threads_sleep(all[i].pid, ret_run);
    return sleep;
}

void subject_finish(subject *s)
{
    bool left = s->pid > 0;
    for (int round = 0; left && round < 1000; round++) { /* what it starts while it is being ended */
        const process *all;
        size_t n = crowd_read(s, &all);
        left = false;
        for (size_t i = 0; i < n; i++)
            if (all[i].ours && all[i].state != 'Z') {
                kill(all[i].pid, SIGKILL);
                left = true;
            }
        subject_reap(s);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ; /* orphans, which came to us */
        if (left)
            poll(NULL, 0, 1);
    }
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
