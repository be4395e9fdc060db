/*
 * follow.h - standing in for a command: signals, job control and the end, as if it had been typed alone.
 *
 * The command stays in our process group and in the foreground with us, so the terminal reaches it without us. What
 * somebody sends to us alone is handed on. When it stops, we stop in the same way; when it ends, we end so.
 */
#ifndef GRANARY_CLI_FOLLOW_H
#define GRANARY_CLI_FOLLOW_H

#include <signal.h>
#include <stdbool.h>

#include "granary.h"

typedef struct {
    int fd;                        /* signalfd */
    sigset_t old;                  /* mask of before */
    void (*heard)(void *userdata); /* the broker has spoken; NULL = nobody asks. Set after follow_begin() */
    void *userdata;
} follow;

/* Before the command runs: holds back the signals that are handed on, and adopts what the command leaves behind.
 * STATUS_SYSTEM. */
int follow_begin(follow *ret);
void follow_end(follow *f);

typedef struct {
    int status;     /* as waitpid() gives it */
    bool leftovers; /* processes of the command are still there */
    bool lost;      /* the broker's session was lost meanwhile */
} follow_result;

/*
 * Until the child `pid` has ended; it is reaped. Answers the broker for the client (opened with event_loop) meanwhile.
 * STATUS_SYSTEM when nothing can be waited for.
 */
int follow_wait(follow *f, granary_client *client, int pid, int pidfd, follow_result *ret);

/* Ends this process as the command ended: by the same signal, without a core; else returns its exit status. */
int follow_mirror(int status);

/* Whether the signal should be handed on: not when the terminal or the command itself sent it to the whole group. */
bool follow_hands_on(int code, int sender, int child);

#endif
