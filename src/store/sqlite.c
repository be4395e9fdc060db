/*
 * sqlite.c - the journal in one SQLite file.
 *
 * A failed commit is tried again only after "disk full", once, and only after the ballast made room: SQLite has
 * rolled it back then, and nothing of it was synced. Any other failure, a failed sync above all, is final.
 */
#include "store/sqlite.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/status.h"
#include "store/ballast.h"
#include "store/database.h"

#define DATABASE "journal.db"
#define BALLAST  "ballast"
#define BOOT_ID  "/proc/sys/kernel/random/boot_id"

typedef enum { INSERT_JOURNAL, INSERT_SNAPSHOT, CLEAR_JOURNAL, CLEAR_SNAPSHOT, SET_META, STATEMENTS } statement;

static const char *const statement_text[STATEMENTS] = {
    [INSERT_JOURNAL] = "INSERT INTO journal(data) VALUES(?1)",
    [INSERT_SNAPSHOT] = "INSERT INTO snapshot(data) VALUES(?1)",
    [CLEAR_JOURNAL] = "DELETE FROM journal",
    [CLEAR_SNAPSHOT] = "DELETE FROM snapshot",
    [SET_META] = "UPDATE meta SET value = ?2 WHERE key = ?1",
};

typedef struct {
    store base;
    sqlite3 *db;
    sqlite3_stmt *prepared[STATEMENTS];
    char path[PATH_MAX]; /* of the database */
    int dir, lock;
    bool sync_each_commit, building;
    uint64_t journal_bytes;
} sqlite_store;

static bool disk_is_full(sqlite_store *q, int rc)
{
    int error = sqlite3_system_errno(q->db);
    return (rc & 0xff) == SQLITE_FULL || ((rc & 0xff) == SQLITE_IOERR && (error == ENOSPC || error == EDQUOT));
}

static int fail(sqlite_store *q, int rc, const char *what)
{
    store *s = &q->base;
    int kind = rc & 0xff;
    int error = kind == SQLITE_IOERR || kind == SQLITE_FULL ? sqlite3_system_errno(q->db) : 0;
    s->failed = database_status(rc) == STATUS_NO_MEMORY ? STATUS_NO_MEMORY : STATUS_SYSTEM;
    snprintf(s->failure, sizeof s->failure, "%s to %.120s failed: %s%s%s", what, q->path, sqlite3_errstr(rc),
             error ? ": " : "", error ? strerror(error) : "");
    return s->failed;
}

static int run(sqlite_store *q, statement which)
{
    int rc = sqlite3_step(q->prepared[which]);
    int reset = sqlite3_reset(q->prepared[which]);
    return rc == SQLITE_DONE ? reset : rc;
}

static int run_blob(sqlite_store *q, statement which, const uint8_t *data, size_t size)
{
    int rc = sqlite3_bind_blob64(q->prepared[which], 1, size ? (const void *)data : "", size, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = run(q, which);
    sqlite3_clear_bindings(q->prepared[which]);
    return rc;
}

static int run_text(sqlite_store *q, const char *text)
{
    return sqlite3_exec(q->db, text, NULL, NULL, NULL);
}

static int set_meta(sqlite_store *q, const char *key, const char *value)
{
    sqlite3_stmt *set = q->prepared[SET_META];
    int rc = sqlite3_bind_text(set, 1, key, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(set, 2, value, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = run(q, SET_META);
    sqlite3_clear_bindings(set);
    return rc;
}

static int load_table(sqlite_store *q, const char *text, int (*blob)(void *userdata, const uint8_t *data, size_t size),
                      void *userdata)
{
    sqlite3_stmt *s;
    int rc = sqlite3_prepare_v2(q->db, text, -1, &s, NULL);
    if (rc != SQLITE_OK)
        return database_status(rc);
    int r = 0;
    while (r == 0 && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        size_t size = (size_t)sqlite3_column_bytes(s, 0);
        const uint8_t *data = sqlite3_column_blob(s, 0);
        r = blob(userdata, size ? data : (const uint8_t *)"", size);
    }
    sqlite3_finalize(s);
    return r != 0 ? r : database_status(rc);
}

static int sqlite_load(store *s, int (*blob)(void *userdata, const uint8_t *data, size_t size), void *userdata)
{
    sqlite_store *q = (sqlite_store *)s;
    int r = load_table(q, "SELECT data FROM snapshot ORDER BY n", blob, userdata);
    return r != 0 ? r : load_table(q, "SELECT data FROM journal ORDER BY n", blob, userdata);
}

static int sqlite_commit(store *s, const uint8_t *data, size_t size)
{
    sqlite_store *q = (sqlite_store *)s;
    assert(!q->building);
    int rc = run_blob(q, INSERT_JOURNAL, data, size);
    if (disk_is_full(q, rc) && ballast_give(q->dir, BALLAST)) {
        rc = run_blob(q, INSERT_JOURNAL, data, size);
        snprintf(s->notice, sizeof s->notice, "the disk under %.150s is full: gave up the ballast to go on; make room",
                 q->path);
        s->notice_waits = true;
    }
    if (rc != SQLITE_OK)
        return fail(q, rc, "a commit");
    q->journal_bytes += size;
    return 0;
}

/* A snapshot that does not fit is put off; anything else that goes wrong in it is final. */
static int snapshot_failed(sqlite_store *q, int rc)
{
    q->building = false;
    bool full = disk_is_full(q, rc);
    int back = sqlite3_get_autocommit(q->db) ? SQLITE_OK : run_text(q, "ROLLBACK");
    if (!full || back != SQLITE_OK)
        return fail(q, rc, "a snapshot");
    snprintf(q->base.notice, sizeof q->base.notice, "no room for a snapshot under %.150s: the journal stays; make room",
             q->path);
    q->base.notice_waits = true;
    return STATUS_NOT_NOW;
}

static int sqlite_snapshot_begin(store *s)
{
    sqlite_store *q = (sqlite_store *)s;
    assert(!q->building);
    q->building = true;
    int rc = run_text(q, "BEGIN IMMEDIATE");
    if (rc == SQLITE_OK)
        rc = run(q, CLEAR_SNAPSHOT);
    return rc == SQLITE_OK ? 0 : snapshot_failed(q, rc);
}

static int sqlite_snapshot_put(store *s, const uint8_t *data, size_t size)
{
    sqlite_store *q = (sqlite_store *)s;
    assert(q->building);
    int rc = run_blob(q, INSERT_SNAPSHOT, data, size);
    return rc == SQLITE_OK ? 0 : snapshot_failed(q, rc);
}

static int sqlite_snapshot_end(store *s)
{
    sqlite_store *q = (sqlite_store *)s;
    assert(q->building);
    int rc = run(q, CLEAR_JOURNAL);
    if (rc == SQLITE_OK)
        rc = run_text(q, "COMMIT");
    if (rc != SQLITE_OK)
        return snapshot_failed(q, rc);
    q->building = false;
    q->journal_bytes = 0;
    /* Only for the log file's size: when this fails the next commit says so. */
    sqlite3_wal_checkpoint_v2(q->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    ballast_grow(q->dir, BALLAST);
    return 0;
}

static int sqlite_reserve(store *s, uint64_t upto)
{
    sqlite_store *q = (sqlite_store *)s;
    char digits[24];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)upto);
    int rc = q->sync_each_commit ? SQLITE_OK : run_text(q, "PRAGMA synchronous = FULL");
    if (rc == SQLITE_OK)
        rc = set_meta(q, "reserved", digits);
    if (disk_is_full(q, rc) && ballast_give(q->dir, BALLAST))
        rc = set_meta(q, "reserved", digits);
    if (rc == SQLITE_OK && !q->sync_each_commit)
        rc = run_text(q, "PRAGMA synchronous = NORMAL");
    if (rc != SQLITE_OK)
        return fail(q, rc, "reserving numbers");
    s->meta.reserved = upto;
    return 0;
}

static uint64_t sqlite_journal_bytes(const store *s)
{
    return ((const sqlite_store *)s)->journal_bytes;
}

static void sqlite_close(store *s)
{
    sqlite_store *q = (sqlite_store *)s;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(q->prepared[i]);
    sqlite3_close(q->db);
    if (q->lock >= 0)
        close(q->lock);
    if (q->dir >= 0)
        close(q->dir);
    free(q);
}

static const store_vtable vtable = {
    .load = sqlite_load,
    .commit = sqlite_commit,
    .snapshot_begin = sqlite_snapshot_begin,
    .snapshot_put = sqlite_snapshot_put,
    .snapshot_end = sqlite_snapshot_end,
    .reserve = sqlite_reserve,
    .journal_bytes = sqlite_journal_bytes,
    .close = sqlite_close,
};

/* Where the machine has no boot id every start counts as a new boot. */
static void read_boot_id(char *to, size_t size)
{
    int fd = open(BOOT_ID, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, to, size - 1) : -1;
    if (fd >= 0)
        close(fd);
    to[n > 0 ? n : 0] = 0;
    to[strcspn(to, "\n")] = 0;
}

static int read_meta(sqlite_store *q)
{
    store_meta *m = &q->base.meta;
    int rc =
        database_ask_text(q->db, "SELECT value FROM meta WHERE key = 'broker_id'", m->broker_id, sizeof m->broker_id);
    if (rc == SQLITE_OK && strspn(m->broker_id, "0123456789abcdef") != sizeof m->broker_id - 1)
        rc = SQLITE_CORRUPT;
    if (rc == SQLITE_OK)
        rc = database_ask_text(q->db, "SELECT value FROM meta WHERE key = 'boot_id'", m->boot_id, sizeof m->boot_id);
    if (rc == SQLITE_OK)
        rc = database_ask_number(q->db, "SELECT value FROM meta WHERE key = 'reserved'", &m->reserved);
    if (rc == SQLITE_OK)
        rc = database_ask_number(q->db, "SELECT coalesce(sum(length(data)), 0) FROM journal", &q->journal_bytes);
    return rc;
}

/* Everything after the directory is locked. */
static int open_database(sqlite_store *q, const store_sqlite_options *options, sentence why)
{
    int r = options->must_exist ? 0 : database_create(q->dir, q->path, why);
    if (r == 0)
        r = database_open(q->path, options->sync_each_commit, why, &q->db);
    if (r < 0)
        return r;
    int rc = SQLITE_OK;
    for (int i = 0; rc == SQLITE_OK && i < STATEMENTS; i++)
        rc = sqlite3_prepare_v3(q->db, statement_text[i], -1, SQLITE_PREPARE_PERSISTENT, &q->prepared[i], NULL);
    if (rc == SQLITE_OK)
        rc = read_meta(q);
    if (rc != SQLITE_OK)
        return sentence_write(why, database_status(rc), "%s is damaged (%s): put a copy back, or move it away", q->path,
                              sqlite3_errstr(rc));
    char boot_id[sizeof q->base.meta.boot_id];
    read_boot_id(boot_id, sizeof boot_id);
    bool ballast = ballast_grow(q->dir, BALLAST);
    if (strcmp(boot_id, q->base.meta.boot_id) == 0)
        rc = SQLITE_OK;
    else if ((rc = set_meta(q, "boot_id", boot_id)) != SQLITE_OK && disk_is_full(q, rc) &&
             ballast_give(q->dir, BALLAST))
        rc = set_meta(q, "boot_id", boot_id);
    if (rc != SQLITE_OK)
        return sentence_write(why, database_status(rc) == STATUS_NO_MEMORY ? STATUS_NO_MEMORY : STATUS_SYSTEM,
                              "cannot write to %s: %s", q->path, sqlite3_errstr(rc));
    if (!ballast) {
        snprintf(q->base.notice, sizeof q->base.notice, "no room for the ballast beside %.150s: make room", q->path);
        q->base.notice_waits = true;
    }
    return 0;
}

int store_sqlite_open(store **ret, const store_sqlite_options *options, char *why, size_t why_size)
{
    sentence says = {why, why_size};
    sqlite_store *q = calloc(1, sizeof *q);
    if (!q)
        return sentence_write(says, STATUS_NO_MEMORY, "no memory");
    q->base.vtable = &vtable;
    q->sync_each_commit = options->sync_each_commit;
    q->lock = -1;
    q->dir = open(options->directory, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    int r = 0;
    if (q->dir < 0)
        r = sentence_write(says, STATUS_SYSTEM, "cannot open the directory %s: %s", options->directory,
                           strerror(errno));
    else if (snprintf(q->path, sizeof q->path, "%s/" DATABASE, options->directory) >= (int)sizeof q->path)
        r = sentence_write(says, STATUS_SYSTEM, "the path %.64s... is too long", options->directory);
    else
        r = database_lock(q->dir, options->directory, says, &q->lock);
    if (r == 0)
        r = open_database(q, options, says);
    if (r < 0) {
        sqlite_close(&q->base);
        return r;
    }
    *ret = &q->base;
    return 0;
}
