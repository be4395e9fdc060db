/*
 * at_pid.c - runs a command under a chosen number: how a pid that was in use is made to be in use again.
 *
 *     at_pid PID COMMAND...
 *
 * For tests only. It asks clone3 for the number (CAP_SYS_ADMIN), and where the kernel refuses that, it sets the last
 * number given out to one below. Exits as the command does; 77 when the kernel permits neither, 78 when the number is
 * in use. The command dies with this program.
 */
#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REFUSED = 77, IN_USE = 78, TRIES = 100 };

static pid_t by_clone(pid_t wanted)
{
    struct clone_args args = {.exit_signal = SIGCHLD, .set_tid = (uint64_t)(uintptr_t)&wanted, .set_tid_size = 1};
    return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

/* Others take numbers, too: so several tries. */
static pid_t by_last_pid(pid_t wanted)
{
    for (int i = 0; i < TRIES; i++) {
        FILE *f = fopen("/proc/sys/kernel/ns_last_pid", "w");
        if (!f)
            return -1;
        fprintf(f, "%d", (int)wanted - 1);
        if (fclose(f) != 0)
            return -1;
        pid_t child = fork();
        if (child <= 0 && (child < 0 || getpid() == wanted))
            return child;
        if (child == 0)
            _exit(0);
        if (child == wanted)
            return child;
        waitpid(child, NULL, 0);
    }
    errno = EEXIST;
    return -1;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return fprintf(stderr, "usage: at_pid PID COMMAND...\n"), 2;
    pid_t wanted = (pid_t)strtol(argv[1], NULL, 10);
    pid_t child = by_clone(wanted);
    if (child < 0 && errno != EEXIST)
        child = by_last_pid(wanted);
    if (child < 0) {
        int code = errno == EEXIST ? IN_USE : REFUSED;
        perror("at_pid");
        return code;
    }
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    int status;
    if (waitpid(child, &status, 0) != child)
        return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
