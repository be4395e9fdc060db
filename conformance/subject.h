/*
 * subject.h - the driven program: its start, its end, and whether it has nothing left to do.
 *
 * It runs in a session of its own, so that everything that it starts is known by that. "Quiet" is what the kernel says:
 * all of its threads, and those of what it started, sleep, and none has run between two looks. A program that waits for
 * the processor is not quiet, so a slow machine makes a look longer, and no judgement wrong.
 */
#ifndef CONFORMANCE_SUBJECT_H
#define CONFORMANCE_SUBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct {
    pid_t pid;
    int pidfd;
    int log; /* a file: what it says */
    bool ended;
    int status; /* as of waitpid() */
} subject;

/* Starts it with its output in `log_path`. STATUS_NOT_FOUND: it cannot be executed (errno tells); STATUS_SYSTEM. */
int subject_start(subject *s, char *const argv[], const char *log_path);

/* Notes its end, if it came. */
void subject_reap(subject *s);

/* Ends it and whatever it started. */
void subject_finish(subject *s);

/* One look. True: everything sleeps; `*ret_run` counts how often all of it ran so far, to be compared with the next
 * look's. */
bool subject_sleeps(const subject *s, uint64_t *ret_run);

/* The end of what it said, without line ends. */
void subject_said(const subject *s, char *to, size_t size);

#endif
