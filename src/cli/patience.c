#include "cli/patience.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* A signal of our own: ALRM is the caller's, and is handed on to commands. */
#define PATIENCE_SIGNAL (SIGRTMIN + 1)

static char said[512];
static volatile sig_atomic_t length;

static void say(int signal)
{
    int before = errno;
    (void)signal;
    if (write(STDERR_FILENO, said, (size_t)length) < 0) {
        /* nobody listens: there is nobody to tell */
    }
    errno = before;
}

void patience_begin(patience *ret, const command_call *call, const char *text, long after_ms)
{
    const struct sigaction action = {.sa_handler = say, .sa_flags = SA_RESTART};
    const struct itimerspec once = {.it_value = {after_ms / 1000, after_ms % 1000 * 1000000}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = PATIENCE_SIGNAL};

    *ret = (patience){0};
    int n = snprintf(said, sizeof said, "granary %s: %s\n", call->command, text);
    length = n < (int)sizeof said ? n : (int)sizeof said - 1;
    if (sigaction(PATIENCE_SIGNAL, &action, &ret->before) != 0)
        return;
    if (timer_create(CLOCK_MONOTONIC, &event, &ret->timer) != 0) {
        (void)sigaction(PATIENCE_SIGNAL, &ret->before, NULL);
        return;
    }
    ret->armed = timer_settime(ret->timer, 0, &once, NULL) == 0;
    if (!ret->armed) {
        (void)timer_delete(ret->timer);
        (void)sigaction(PATIENCE_SIGNAL, &ret->before, NULL);
    }
}

void patience_end(patience *p)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};

    if (!p->armed)
        return;
    p->armed = false;
    (void)timer_delete(p->timer);
    (void)sigaction(PATIENCE_SIGNAL, &ignore, NULL); /* drops one that is on its way, which would end us now */
    (void)sigaction(PATIENCE_SIGNAL, &p->before, NULL);
}
