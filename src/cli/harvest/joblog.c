/*
 * joblog.c - see joblog.h.
 */
#include "cli/harvest/joblog.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/status.h"
#include "base/text.h"

#define COLUMNS 11
#define ROW_MAX (16u << 20) /* all arguments of a program, each byte escaped, fit */

static const char header[] = "seq\thost\tstart\truntime_ms\texit\tsignal\toom\tpeak_bytes\tchunks\tattempt\tcommand";

char *harvest_escape(const char *text)
{
    const size_t size = strlen(text) * 4 + 1; /* a byte becomes \xHH at most */
    char *copy = malloc(size);

    if (copy)
        (void)text_escape(copy, size, text);
    return copy;
}

/* ---- reading ---- */

static bool number(const char *text, uint64_t most, uint64_t *ret)
{
    char *end;
    uint64_t value;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno || *end || value > most)
        return false;
    *ret = value;
    return true;
}

/* "1763813636.123" */
static bool stamp(char *text, uint64_t *ret)
{
    char *dot = strchr(text, '.');
    uint64_t seconds, ms;

    if (!dot || strlen(dot + 1) != 3)
        return false;
    *dot = '\0';
    if (!number(text, UINT64_MAX / 2000, &seconds) || !number(dot + 1, 999, &ms))
        return false;
    *ret = seconds * 1000 + ms;
    return true;
}

static bool columns_read(char **column, harvest_row *ret)
{
    uint64_t exit_code, signal, oom, chunks, attempt;

    if (!number(column[0], HARVEST_JOBLOG_SEQ_MAX, &ret->seq) || ret->seq == 0)
        return false;
    if (!stamp(column[2], &ret->start_ms) || !number(column[3], UINT64_MAX, &ret->runtime_ms))
        return false;
    if (!number(column[4], 255, &exit_code) || !number(column[5], 127, &signal) || !number(column[6], 1, &oom))
        return false;
    if (!number(column[7], UINT64_MAX, &ret->peak) || !number(column[8], UINT32_MAX, &chunks))
        return false;
    if (!number(column[9], UINT32_MAX, &attempt))
        return false;
    ret->host = column[1];
    ret->exit_code = (int)exit_code;
    ret->signal = (int)signal;
    ret->oom = oom == 1;
    ret->chunks = (uint32_t)chunks;
    ret->attempt = (uint32_t)attempt;
    ret->command = column[10];
    return true;
}

int harvest_joblog_parse(char *line, harvest_row *ret, const char **ret_why)
{
    char *column[COLUMNS];
    harvest_row row = {0};

    for (size_t i = 0; i < COLUMNS; i++) {
        char *end = strchr(line, '\t');

        column[i] = line;
        if ((end == NULL) != (i + 1 == COLUMNS)) {
            *ret_why = "it does not have 11 columns";
            return STATUS_INVALID;
        }
        if (end) {
            *end = '\0';
            line = end + 1;
        }
    }
    if (!columns_read(column, &row)) {
        *ret_why = "a number is malformed or out of range";
        return STATUS_INVALID;
    }
    *ret = row;
    return STATUS_OK;
}

/* FNV-1a; never 0, which stands for "not done". */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = 14695981039346656037u;

    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return hash ? hash : 1;
}

/* Room for `seq`: fresh pages of zeroes cost nothing until they are written. */
static int done_reserve(harvest_joblog *log, uint64_t seq)
{
    uint64_t n = log->n_done ? log->n_done : 1024;
    uint64_t *grown;

    if (seq <= log->n_done)
        return STATUS_OK;
    while (n < seq)
        n *= 2;
    grown = calloc(n, sizeof *grown);
    if (!grown)
        return STATUS_NO_MEMORY;
    if (log->n_done > 0)
        memcpy(grown, log->done, log->n_done * sizeof *grown);
    free(log->done);
    log->done = grown;
    log->n_done = n;
    return STATUS_OK;
}

typedef struct {
    FILE *file;
    char *line;
    size_t line_size;
    uint64_t number;
    off_t whole; /* bytes up to the end of the last whole line */
} reader;

static int row_read(harvest_joblog *log, reader *in, char *why, size_t why_size)
{
    harvest_row row;
    const char *reason = "it is not the header of a joblog: is this the right file?";
    int status = STATUS_OK;

    if (in->number == 1)
        status = strcmp(in->line, header) == 0 ? STATUS_OK : STATUS_INVALID;
    else
        status = harvest_joblog_parse(in->line, &row, &reason);
    if (status < 0) {
        (void)snprintf(why, why_size, "line %" PRIu64 ": %s", in->number, reason);
        return STATUS_CORRUPT;
    }
    if (in->number == 1)
        return STATUS_OK;
    status = done_reserve(log, row.seq);
    if (status < 0) {
        (void)snprintf(why, why_size, "no memory for %" PRIu64 " %s", row.seq, text_plural(row.seq, "task", "tasks"));
        return status;
    }
    log->done[row.seq - 1] = row.exit_code == 0 && row.signal == 0 ? hash_of(row.command) : 0;
    return STATUS_OK;
}

static int rows_read(harvest_joblog *log, reader *in, char *why, size_t why_size)
{
    ssize_t length;

    while ((length = getline(&in->line, &in->line_size, in->file)) > 0) {
        if (in->line[length - 1] != '\n')
            return STATUS_OK; /* torn: the writer died inside its write */
        in->number++;
        if ((size_t)length > ROW_MAX || strlen(in->line) != (size_t)length) {
            (void)snprintf(why, why_size, "line %" PRIu64 ": too long, or with a NUL byte", in->number);
            return STATUS_CORRUPT;
        }
        in->line[length - 1] = '\0';
        const int status = row_read(log, in, why, why_size);
        if (status < 0)
            return status;
        in->whole += length;
    }
    if (ferror(in->file)) {
        (void)snprintf(why, why_size, "%s", strerror(errno));
        return STATUS_SYSTEM;
    }
    return STATUS_OK;
}

static int log_read(harvest_joblog *log, char *why, size_t why_size)
{
    reader in = {0};
    const int copy = fcntl(log->fd, F_DUPFD_CLOEXEC, 3);
    int status;

    in.file = copy < 0 ? NULL : fdopen(copy, "r");
    if (!in.file) {
        (void)snprintf(why, why_size, "%s", strerror(errno));
        if (copy >= 0)
            close(copy);
        return STATUS_SYSTEM;
    }
    status = rows_read(log, &in, why, why_size);
    if (status == STATUS_OK && ftruncate(log->fd, in.whole) != 0) {
        (void)snprintf(why, why_size, "%s", strerror(errno));
        status = STATUS_SYSTEM;
    }
    free(in.line);
    fclose(in.file);
    return status;
}

/* ---- writing ---- */

static int write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        const ssize_t n = write(fd, text, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return STATUS_SYSTEM;
        text += n;
        length -= (size_t)n;
    }
    return STATUS_OK;
}

/* Is it a file that begins otherwise than a joblog? */
static bool is_foreign(int fd)
{
    char begin[sizeof header];
    struct stat stat;
    const ssize_t n = fstat(fd, &stat) == 0 && !S_ISREG(stat.st_mode) ? 0 : pread(fd, begin, sizeof begin, 0);

    return n > 0 && ((size_t)n < sizeof begin || memcmp(begin, header, sizeof header - 1) != 0 ||
                     begin[sizeof begin - 1] != '\n');
}

static int log_prepare(harvest_joblog *log, bool resume, char *why, size_t why_size)
{
    struct stat stat;
    int status = STATUS_OK;

    if (flock(log->fd, LOCK_EX | LOCK_NB) != 0) {
        (void)snprintf(why, why_size, "%s", errno == EWOULDBLOCK ? "another harvest writes it" : strerror(errno));
        return errno == EWOULDBLOCK ? STATUS_BUSY : STATUS_SYSTEM;
    }
    if (resume)
        status = log_read(log, why, why_size);
    else if (is_foreign(log->fd)) {
        (void)snprintf(why, why_size, "it holds something that is no joblog, and would be emptied: name another file");
        status = STATUS_CORRUPT;
    }
    if (status < 0)
        return status;
    if ((!resume && ftruncate(log->fd, 0) != 0 && errno != EINVAL) || fstat(log->fd, &stat) != 0)
        status = STATUS_SYSTEM;
    else if (stat.st_size == 0) {
        status = write_all(log->fd, header, sizeof header - 1);
        if (status == STATUS_OK)
            status = write_all(log->fd, "\n", 1);
    }
    if (status < 0)
        (void)snprintf(why, why_size, "%s", strerror(errno));
    return status;
}

int harvest_joblog_open(harvest_joblog *ret, const char *path, bool resume, char *why, size_t why_size)
{
    harvest_joblog log = {.fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666)};
    int status;

    if (log.fd < 0) {
        (void)snprintf(why, why_size, "%s", strerror(errno));
        return STATUS_SYSTEM;
    }
    status = log_prepare(&log, resume, why, why_size);
    if (status < 0) {
        harvest_joblog_finish(&log);
        return status;
    }
    *ret = log;
    return STATUS_OK;
}

void harvest_joblog_finish(harvest_joblog *log)
{
    if (log->fd >= 0)
        close(log->fd);
    log->fd = -1;
    free(log->done);
    log->done = NULL;
    log->n_done = 0;
}

joblog_known harvest_joblog_known(const harvest_joblog *log, uint64_t seq, const char *command)
{
    char *escaped;
    uint64_t hash;

    if (seq == 0 || seq > log->n_done || log->done[seq - 1] == 0)
        return JOBLOG_NEW;
    escaped = harvest_escape(command);
    if (!escaped)
        return JOBLOG_OTHER;
    hash = hash_of(escaped);
    free(escaped);
    return hash == log->done[seq - 1] ? JOBLOG_DONE : JOBLOG_OTHER;
}

int harvest_joblog_write(harvest_joblog *log, const harvest_row *row)
{
    char *command, *line = NULL;
    int length, status;

    if (log->fd < 0)
        return STATUS_OK;
    command = harvest_escape(row->command);
    if (!command)
        return STATUS_NO_MEMORY;
    length = asprintf(&line,
                      "%" PRIu64 "\t%s\t%" PRIu64 ".%03" PRIu64 "\t%" PRIu64 "\t%d\t%d\t%d\t%" PRIu64 "\t%" PRIu32
                      "\t%" PRIu32 "\t%s\n",
                      row->seq, row->host, row->start_ms / 1000, row->start_ms % 1000, row->runtime_ms, row->exit_code,
                      row->signal, row->oom ? 1 : 0, row->peak, row->chunks, row->attempt, command);
    free(command);
    if (length < 0)
        return STATUS_NO_MEMORY;
    status = write_all(log->fd, line, (size_t)length);
    free(line);
    return status;
}
