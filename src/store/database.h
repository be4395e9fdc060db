/*
 * database.h - the SQLite file under a journal: made whole, told from any other file, locked, checked.
 */
#ifndef GRANARY_STORE_DATABASE_H
#define GRANARY_STORE_DATABASE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A sentence about a failure goes here; text may be NULL. */
typedef struct {
    char *text;
    size_t size;
} sentence;

/* Writes the sentence and returns `status`. */
__attribute__((format(printf, 3, 4))) int sentence_write(sentence why, int status, const char *format, ...);

/* The status that a SQLite result code stands for. */
int database_status(int rc);

/*
 * Keeps every other process out of the directory `dir` (named `directory` in sentences) until *ret_lock is
 * closed. STATUS_BUSY names who is in it. STATUS_SYSTEM.
 */
int database_lock(int dir, const char *directory, sentence why, int *ret_lock);

/* Makes an empty journal at `path`, unless there is a file. Needs the lock. STATUS_SYSTEM, STATUS_NO_MEMORY. */
int database_create(int dir, const char *path, sentence why);

/*
 * Opens the journal at `path`. Nothing in it is changed, and on failure nothing beside it. STATUS_CORRUPT (not ours,
 * another version, torn, fails its checks), STATUS_BUSY, STATUS_NOT_FOUND, STATUS_SYSTEM, STATUS_NO_MEMORY.
 */
int database_open(const char *path, bool sync_each_commit, sentence why, sqlite3 **ret);

/* The first column of the statement's only row, into `to`. A SQLite result code; SQLITE_CORRUPT when there is none or
 * it is too long. */
int database_ask_text(sqlite3 *db, const char *text, char *to, size_t size);
int database_ask_number(sqlite3 *db, const char *text, uint64_t *ret);

#endif
