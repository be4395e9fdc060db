/*
 * options.h - command lines: a table of options in, values out, clear words when something is wrong.
 *
 * One table for each command; `--socket`, `--json` (reading commands) and `--help` are added by call. Accepts
 * -x VALUE, -xVALUE, -xy (flags together), --name VALUE, --name=VALUE, -- (end of options). Sizes and times as
 * base/size.h reads them.
 */
#ifndef GRANARY_CLI_OPTIONS_H
#define GRANARY_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTIONS_JOBS_MAX 4096u

typedef enum {
    OPTION_FLAG = 1, /* bool: set to true */
    OPTION_TEXT,     /* const char *: borrowed from argv */
    OPTION_SIZE,     /* uint64_t: bytes, at least a page */
    OPTION_SIZE_0,   /* uint64_t: bytes, 0 is fine */
    OPTION_COUNT,    /* uint32_t: at least 1 */
    OPTION_COUNT_0,  /* uint32_t: 0 is fine */
    OPTION_JOBS,     /* uint32_t: tasks at once, 1 to OPTIONS_JOBS_MAX */
    OPTION_INTEGER,  /* int32_t */
    OPTION_TIME,     /* uint64_t: milliseconds, at least 1 */
    OPTION_TIME_0,   /* uint64_t: milliseconds, 0 is fine */
} option_kind;

/* In the order in which a row is read: there are few of them. */
typedef struct {      /* NOLINT(clang-analyzer-optin.performance.Padding) */
    char letter;      /* 0 = none */
    const char *name; /* without dashes */
    option_kind kind;
    void *to;             /* written when the option is given; of the type that the kind says */
    const char *argument; /* "SIZE"; NULL for flags */
    const char *help;     /* one line */
} option;

/* What every command knows of the command line around it. */
typedef struct {
    const char *command; /* "run" */
    const char *usage;   /* "run -m SIZE [options] -- CMD…" */
    const char *about;   /* paragraph of help, may be NULL */
    const char *socket;  /* --socket, else NULL */
    bool json;           /* --json */
    bool reads;          /* the command takes --json */
    int argc;            /* after the command's own name */
    char **argv;
} command_call;

enum {
    OPTIONS_STOP = 1u << 0,  /* the first operand ends the options: what follows is another command's */
    OPTIONS_ALONE = 1u << 1, /* operands are an error */
};

/*
 * Parses call->argv by `table`. Returns 0 with call->argc and argv reduced to the operands (argv[argc] is NULL); or a
 * positive exit code plus 1, message printed (help: EXIT_DONE + 1). Use as: `if ((r = options_parse(...)) != 0) return
 * r - 1;`.
 */
int options_parse(command_call *call, const option *table, size_t n, unsigned flags);

/* Prints "granary COMMAND: " and the message and where help is; returns EXIT_USAGE. */
int options_wrong(const command_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints "granary COMMAND: " and the message; for failures that are not about usage. */
void options_say(const command_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * A whole number up to `most`. 0, or STATUS_INVALID with a sentence in `why` that quotes the text. Sizes and times:
 * base/size.h.
 */
int options_count_parse(const char *text, uint32_t most, uint32_t *ret, char *why, size_t why_size);

#endif
