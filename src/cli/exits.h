/*
 * exits.h - what `granary` exits with. One table for all commands; granary(1) prints it, so it is stable.
 *
 * `granary run` and a command under it: the command's own status comes through unchanged, also death by a
 * signal, so the numbers below are Granary's only when the command never ran (or, 125, when Granary lost it).
 */
#ifndef GRANARY_CLI_EXITS_H
#define GRANARY_CLI_EXITS_H

enum {
    EXIT_DONE = 0,
    EXIT_NO = 1,             /* the answer is no: differences found, no such allocation or host */
    EXIT_USAGE = 2,          /* the command line is wrong */
    EXIT_NO_BROKER = 69,     /* no broker, or it went away and did not come back in time */
    EXIT_NOT_NOW = 75,       /* not free now, and the request said not to wait */
    EXIT_DENIED = 77,        /* not yours */
    EXIT_NEVER = 122,        /* could never be granted: larger than the machine, over quota */
    EXIT_TIMED_OUT = 124,    /* waited as long as --timeout allowed */
    EXIT_FAILED = 125,       /* Granary itself failed */
    EXIT_NOT_RUNNABLE = 126, /* the command was found and could not be executed */
    EXIT_NOT_FOUND = 127,    /* the command was not found */
    EXIT_SIGNALLED = 128,    /* plus the signal's number */
};

/* The exit code that stands for a status of the library (enum status). */
int exits_of_status(int status);

#endif
