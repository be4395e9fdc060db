/*
 * log.h - what the daemon tells people: lines on stderr, and the last of them kept in memory.
 *
 * A line reads `2026-01-31T12:00:00.000Z info key=value ... sentence`. Whatever is not printable is
 * escaped, so a line is one line whatever a client named its things. Values that come from clients
 * are passed through log_quote(). Not thread-safe.
 */
#ifndef GRANARY_DAEMON_LOG_H
#define GRANARY_DAEMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_LINES    2000u /* kept in memory for `granary log` */
#define LOG_TEXT_MAX 480u  /* of one line without time and level; longer ones are cut */

typedef enum { LOG_ERROR = 1, LOG_WARNING, LOG_INFO, LOG_DEBUG } log_level;

typedef struct {
    uint64_t wall_ms;
    log_level level;
    const char *text;
} log_line;

/* Writes the text of a line that was kept as data. */
typedef void (*log_format)(const void *data, char *to, size_t size);

typedef struct log_book log_book;

/* NULL when memory is short. Lines above `level` are dropped. `part` stands in each line: "part=broker". */
log_book *log_create(const char *part, log_level level);
void log_destroy(log_book *l);
void log_set_level(log_book *l, log_level level);

/* Called with each line after it was kept, or NULL. Lines that it writes itself come to it again. */
void log_set_listener(log_book *l, void (*listener)(void *userdata, const log_line *line), void *userdata);

/* Whether a line of this level would be kept. */
bool log_wants(const log_book *l, log_level level);

/* A NULL log drops the line. */
void log_write(log_book *l, log_level level, const char *format, ...) __attribute__((format(printf, 3, 4)));

/*
 * Keeps a line as data, which becomes words only when somebody looks: for what happens many thousand times a second. It
 * is not printed, but for a log at LOG_DEBUG. Returns LOG_TEXT_MAX bytes, aligned for anything and not cleared, to be
 * filled before log_told(); NULL when the line is not wanted. The caller's clock stands in it.
 */
void *log_defer(log_book *l, log_level level, uint64_t wall_ms, log_format format);
void log_told(log_book *l);

/* The wall clock in milliseconds. */
uint64_t log_wall_ms(void);

/* The line that is `back` lines before the newest (0); its text is put into `to`. False: there is none. */
bool log_at(const log_book *l, uint32_t back, char to[LOG_TEXT_MAX], log_line *ret);

/* `"text"` with quotes and backslashes escaped, cut to fit. Returns `to`. */
const char *log_quote(const char *text, char *to, size_t size);

const char *log_level_name(log_level level);

/* STATUS_INVALID for no such level. */
int log_level_parse(const char *name, log_level *ret);

#endif
