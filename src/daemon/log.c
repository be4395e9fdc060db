#include "daemon/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/status.h"

/* A kept line: its text, or what `format` makes one of. */
typedef struct {
    uint64_t wall_ms;
    log_level level;
    log_format format;
    char data[LOG_TEXT_MAX] __attribute__((aligned(16)));
} entry;

struct log_book {
    const char *part;
    log_level level;
    void (*listener)(void *userdata, const log_line *line);
    void *userdata;
    entry lines[LOG_LINES];
    uint64_t written; /* lines ever */
};

static const char *const level_names[] = {
    [LOG_ERROR] = "error", [LOG_WARNING] = "warning", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};

const char *log_level_name(log_level level)
{
    return level >= LOG_ERROR && level <= LOG_DEBUG ? level_names[level] : "?";
}

int log_level_parse(const char *name, log_level *ret)
{
    for (log_level level = LOG_ERROR; level <= LOG_DEBUG; level++)
        if (strcmp(level_names[level], name) == 0) {
            *ret = level;
            return 0;
        }
    return STATUS_INVALID;
}

log_book *log_create(const char *part, log_level level)
{
    log_book *l = calloc(1, sizeof *l);
    if (l) {
        l->part = part;
        l->level = level;
    }
    return l;
}

void log_destroy(log_book *l)
{
    free(l);
}

void log_set_level(log_book *l, log_level level)
{
    l->level = level;
}

void log_set_listener(log_book *l, void (*listener)(void *userdata, const log_line *line), void *userdata)
{
    l->listener = listener;
    l->userdata = userdata;
}

/* Printable ASCII stays, every other byte becomes \xNN. */
static void escape(const char *from, char *to, size_t size)
{
    size_t used = 0;
    for (const unsigned char *p = (const unsigned char *)from; *p && used + 5 < size; p++) {
        if (*p >= 0x20 && *p < 0x7f)
            to[used++] = (char)*p;
        else
            used += (size_t)snprintf(to + used, size - used, "\\x%02x", *p);
    }
    to[used] = '\0';
}

static void print(const log_book *l, const log_line *line)
{
    time_t seconds = (time_t)(line->wall_ms / 1000);
    struct tm when = {0};
    char stamp[32] = "?";
    if (gmtime_r(&seconds, &when))
        strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &when);
    char whole[LOG_TEXT_MAX + 128];
    int n = snprintf(whole, sizeof whole, "%s.%03uZ %s part=%s %s\n", stamp, (unsigned)(line->wall_ms % 1000),
                     log_level_name(line->level), l->part, line->text);
    size_t size = n < 0 ? 0 : (size_t)n < sizeof whole ? (size_t)n : sizeof whole - 1;
    if (write(STDERR_FILENO, whole, size) < 0)
        return; /* nobody to tell: the ring still has it */
}

bool log_wants(const log_book *l, log_level level)
{
    return l && level <= l->level;
}

uint64_t log_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The slot of the next line, stamped. */
static entry *entry_next(log_book *l, log_level level, uint64_t wall_ms, log_format format)
{
    entry *e = &l->lines[l->written++ % LOG_LINES];
    e->wall_ms = wall_ms;
    e->level = level;
    e->format = format;
    return e;
}

/* In words, for everybody who wants them now. */
static void entry_tell(log_book *l, bool to_stderr)
{
    char text[LOG_TEXT_MAX];
    log_line line = {0};
    if (!to_stderr && !l->listener)
        return;
    log_at(l, 0, text, &line);
    if (to_stderr)
        print(l, &line);
    if (l->listener)
        l->listener(l->userdata, &line);
}

void log_write(log_book *l, log_level level, const char *format, ...)
{
    if (!log_wants(l, level))
        return;
    entry *e = entry_next(l, level, log_wall_ms(), NULL);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(e->data, sizeof e->data, format, arguments);
    va_end(arguments);
    entry_tell(l, true);
}

void *log_defer(log_book *l, log_level level, uint64_t wall_ms, log_format format)
{
    return log_wants(l, level) ? entry_next(l, level, wall_ms, format)->data : NULL;
}

void log_told(log_book *l)
{
    entry_tell(l, l->level == LOG_DEBUG);
}

bool log_at(const log_book *l, uint32_t back, char to[LOG_TEXT_MAX], log_line *ret)
{
    char raw[LOG_TEXT_MAX];
    if (back >= LOG_LINES || back >= l->written)
        return false;
    const entry *e = &l->lines[(l->written - 1 - back) % LOG_LINES];
    if (e->format)
        e->format(e->data, raw, sizeof raw);
    escape(e->format ? raw : e->data, to, LOG_TEXT_MAX);
    *ret = (log_line){.wall_ms = e->wall_ms, .level = e->level, .text = to};
    return true;
}

const char *log_quote(const char *text, char *to, size_t size)
{
    size_t used = 0;
    to[used++] = '"';
    for (const char *p = text; *p && used + 4 < size; p++) {
        if (*p == '"' || *p == '\\')
            to[used++] = '\\';
        to[used++] = *p;
    }
    to[used++] = '"';
    to[used] = '\0';
    return to;
}
