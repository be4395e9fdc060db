/*
 * joblog.h - one line for each attempt at a task, and which tasks an earlier run finished.
 *
 * A header line, then tab-separated columns:
 *   seq host start runtime_ms exit signal oom peak_bytes chunks attempt command
 * start is wall-clock seconds with milliseconds; oom is 0 or 1; the command is escaped (\t \n \\ \xHH), so that a
 * row is one line. Each row is one write. The last row of a task counts: exit 0, signal 0 is a success.
 *
 * Resuming reads the whole file first: a last line without its newline is dropped, any other malformed line is an
 * error. Of each success only a hash of the command is kept (8 bytes), to notice that the command or the inputs
 * changed.
 */
#ifndef GRANARY_CLI_HARVEST_JOBLOG_H
#define GRANARY_CLI_HARVEST_JOBLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Tasks that a log may hold; 8 bytes of (mostly untouched) memory each when resuming. */
#define HARVEST_JOBLOG_SEQ_MAX 100000000u

typedef struct {
    uint64_t seq;
    const char *host;
    uint64_t start_ms; /* wall clock */
    uint64_t runtime_ms;
    int exit_code;
    int signal;
    bool oom;
    uint64_t peak;
    uint32_t chunks, attempt;
    const char *command; /* as escaped when parsed, unescaped when written */
} harvest_row;

typedef struct {
    int fd;          /* -1: no log is kept */
    uint64_t *done;  /* by seq - 1: hash of the escaped command of a success, 0 = none. Owned */
    uint64_t n_done; /* entries of `done` */
} harvest_joblog;

/*
 * One line without its newline, cut in place: host and command point into `line`. Errors: STATUS_INVALID, `*ret_why`
 * says why (static).
 */
int harvest_joblog_parse(char *line, harvest_row *ret, const char **ret_why);

/*
 * Opens (with `resume`: reads, then appends; else empties, if it is a joblog) the file and locks it. Errors, told in
 * `why`: STATUS_SYSTEM, STATUS_BUSY (another harvest writes it), STATUS_CORRUPT (not a joblog), STATUS_NO_MEMORY.
 */
int harvest_joblog_open(harvest_joblog *ret, const char *path, bool resume, char *why, size_t why_size);
void harvest_joblog_finish(harvest_joblog *log);

typedef enum { JOBLOG_NEW, JOBLOG_DONE, JOBLOG_OTHER } joblog_known;

/* Was this task done before? JOBLOG_OTHER: something was, by another command. */
joblog_known harvest_joblog_known(const harvest_joblog *log, uint64_t seq, const char *command);

/* Appends a row. Errors: STATUS_SYSTEM (errno), STATUS_NO_MEMORY. */
int harvest_joblog_write(harvest_joblog *log, const harvest_row *row);

/* What would break a line or a column, or is not text, as text_escape() writes it. free(). NULL: no memory. */
char *harvest_escape(const char *text);

#endif
