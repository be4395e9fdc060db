/*
 * database.c - what a file claims to be is read from its first bytes, before SQLite may touch it.
 *
 * A new journal is built under another name and moved into place whole and synced, so a file of the final name
 * that is empty or without schema was never ours, or was harmed: it is refused, not filled.
 */
#include "store/database.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/status.h"

#define LOCK_NAME      "journal.lock"
#define NEW_SUFFIX     ".new"
#define APPLICATION_ID 1198678382u /* "Gran" */
#define SCHEMA_VERSION 1u
#define HEADER_BYTES   100u /* of every SQLite file */
#define OFFSET_VERSION 60u  /* of user_version, big-endian */
#define OFFSET_APP     68u  /* of application_id */

static const char schema[] = "PRAGMA application_id = 1198678382;"
                             "PRAGMA user_version = 1;"
                             "BEGIN;"
                             "CREATE TABLE meta(key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;"
                             "CREATE TABLE snapshot(n INTEGER PRIMARY KEY, data BLOB NOT NULL);"
                             "CREATE TABLE journal(n INTEGER PRIMARY KEY, data BLOB NOT NULL);"
                             "INSERT INTO meta VALUES('reserved', '0'), ('boot_id', '');";

/* One connection, whole exclusion, and a log file that is used again rather than grown. Deleted pages are not written
 * over with zeros, as Debian's SQLite does by default: a compaction would write the whole old journal once more. */
static const char settings[] = "PRAGMA locking_mode = EXCLUSIVE;"
                               "PRAGMA journal_size_limit = 8388608;"
                               "PRAGMA secure_delete = OFF;"
                               "PRAGMA trusted_schema = OFF;"
                               "PRAGMA cell_size_check = ON;";

int sentence_write(sentence why, int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (why.text && why.size > 0)
        vsnprintf(why.text, why.size, format, args);
    va_end(args);
    return status;
}

int database_status(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return 0;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_MISMATCH:
    case SQLITE_CONSTRAINT:
    case SQLITE_ERROR: /* the statements are ours, so the schema is not */
        return STATUS_CORRUPT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return STATUS_BUSY;
    case SQLITE_NOMEM:
        return STATUS_NO_MEMORY;
    default:
        return STATUS_SYSTEM;
    }
}

int database_lock(int dir, const char *directory, sentence why, int *ret_lock)
{
    int fd = openat(dir, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return sentence_write(why, STATUS_SYSTEM, "cannot open %s/" LOCK_NAME ": %s", directory, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        char who[16] = "";
        bool busy = errno == EWOULDBLOCK;
        if (!busy)
            sentence_write(why, 0, "cannot lock %s/" LOCK_NAME ": %s", directory, strerror(errno));
        else if (pread(fd, who, sizeof who - 1, 0) <= 0)
            sentence_write(why, 0, "another broker uses %s: end it first, or choose another directory", directory);
        else
            sentence_write(why, 0, "another broker (pid %d) uses %s: end it first, or choose another directory",
                           atoi(who), directory);
        close(fd);
        return busy ? STATUS_BUSY : STATUS_SYSTEM;
    }
    char me[16];
    int n = snprintf(me, sizeof me, "%d\n", (int)getpid());
    /* For the sentence above only; a full disk must not keep the broker out. */
    if (ftruncate(fd, 0) == 0 && pwrite(fd, me, (size_t)n, 0) != n)
        (void)ftruncate(fd, 0);
    *ret_lock = fd;
    return 0;
}

int database_ask_text(sqlite3 *db, const char *text, char *to, size_t size)
{
    sqlite3_stmt *s;
    int rc = sqlite3_prepare_v2(db, text, -1, &s, NULL);
    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(s);
    if (rc == SQLITE_ROW) {
        const char *value = (const char *)sqlite3_column_text(s, 0);
        rc = value && strlen(value) < size ? SQLITE_OK : SQLITE_CORRUPT;
        if (!value && sqlite3_errcode(db) == SQLITE_NOMEM)
            rc = SQLITE_NOMEM; /* a text is copied before it is shown */
        if (rc == SQLITE_OK)
            strcpy(to, value);
    } else if (rc == SQLITE_DONE) {
        rc = SQLITE_CORRUPT;
    }
    sqlite3_finalize(s);
    return rc;
}

int database_ask_number(sqlite3 *db, const char *text, uint64_t *ret)
{
    char digits[24] = "", *end;
    int rc = database_ask_text(db, text, digits, sizeof digits);
    if (rc != SQLITE_OK)
        return rc;
    errno = 0;
    unsigned long long value = strtoull(digits, &end, 10);
    if (errno != 0 || *end != 0 || digits[0] < '0' || digits[0] > '9')
        return SQLITE_CORRUPT;
    *ret = value;
    return SQLITE_OK;
}

/* 32 random hexadecimal digits: the name of these books for life. */
static int random_id(char to[33])
{
    uint8_t bytes[16];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return STATUS_SYSTEM;
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(to + 2 * i, 3, "%02x", bytes[i]);
    return 0;
}

static int build(const char *path, sentence why)
{
    char id[33], insert[128];
    if (random_id(id) < 0)
        return sentence_write(why, STATUS_SYSTEM, "no random numbers: %s", strerror(errno));
    snprintf(insert, sizeof insert, "INSERT INTO meta VALUES('broker_id', '%s'); COMMIT;", id);
    sqlite3 *db;
    int rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = FULL;", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, schema, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, insert, NULL, NULL, NULL);
    int closed = sqlite3_close(db);
    rc = rc != SQLITE_OK ? rc : closed;
    if (rc == SQLITE_OK)
        return 0;
    int status = database_status(rc) == STATUS_NO_MEMORY ? STATUS_NO_MEMORY : STATUS_SYSTEM;
    return sentence_write(why, status, "cannot make %s: %s", path, sqlite3_errstr(rc));
}

int database_create(int dir, const char *path, sentence why)
{
    char new_path[PATH_MAX];
    if (access(path, F_OK) == 0)
        return 0;
    if (errno != ENOENT)
        return sentence_write(why, STATUS_SYSTEM, "cannot look at %s: %s", path, strerror(errno));
    if (snprintf(new_path, sizeof new_path, "%s" NEW_SUFFIX, path) >= (int)sizeof new_path)
        return sentence_write(why, STATUS_SYSTEM, "the path %.64s... is too long", path);
    unlink(new_path); /* of one who died here */
    int fd = open(new_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return sentence_write(why, STATUS_SYSTEM, "cannot make %s: %s", new_path, strerror(errno));
    close(fd);
    int r = build(new_path, why);
    if (r == 0 && rename(new_path, path) < 0)
        r = sentence_write(why, STATUS_SYSTEM, "cannot rename %s: %s", new_path, strerror(errno));
    else if (r == 0 && fsync(dir) < 0)
        r = sentence_write(why, STATUS_SYSTEM, "cannot sync the directory of %s: %s", path, strerror(errno));
    if (r < 0)
        unlink(new_path);
    return r;
}

static uint32_t big_endian(const uint8_t *from)
{
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

/* Both numbers were written before the file got its name, so they stand in the file itself. */
static int check_header(const char *path, sentence why)
{
    uint8_t head[HEADER_BYTES];
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return sentence_write(why, STATUS_NOT_FOUND, "there is no journal at %s", path);
    if (fd < 0)
        return sentence_write(why, STATUS_SYSTEM, "cannot open %s: %s", path, strerror(errno));
    bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    ssize_t n = regular ? pread(fd, head, sizeof head, 0) : 0;
    int error = errno;
    close(fd);
    if (n < 0)
        return sentence_write(why, STATUS_SYSTEM, "cannot read %s: %s", path, strerror(error));
    if (n < (ssize_t)sizeof head || memcmp(head, "SQLite format 3", 16) != 0 ||
        big_endian(head + OFFSET_APP) != APPLICATION_ID)
        return sentence_write(why, STATUS_CORRUPT,
                              "%s is no journal of Granary: move it away, or choose another directory", path);
    uint32_t version = big_endian(head + OFFSET_VERSION);
    if (version != SCHEMA_VERSION)
        return sentence_write(why, STATUS_CORRUPT,
                              "%s has version %u, this Granary reads version %u: use the Granary that wrote it", path,
                              version, SCHEMA_VERSION);
    return 0;
}

/* Runs a statement that answers with a word, and wants this word. */
static int demand(sqlite3 *db, const char *text, const char *word, int otherwise)
{
    char answer[128];
    int rc = database_ask_text(db, text, answer, sizeof answer);
    return rc == SQLITE_OK && strcmp(answer, word) != 0 ? otherwise : rc;
}

static int refuse(const char *path, int rc, sentence why)
{
    int status = database_status(rc);
    if (status == STATUS_CORRUPT)
        sentence_write(why, 0, "%s fails its checks (%s): put a copy back, or move it away to start with empty books",
                       path, sqlite3_errstr(rc));
    else if (status == STATUS_BUSY)
        sentence_write(why, 0, "another process uses %s: end it first", path);
    else
        sentence_write(why, 0, "cannot open %s: %s", path, sqlite3_errstr(rc));
    return status;
}

int database_open(const char *path, bool sync_each_commit, sentence why, sqlite3 **ret)
{
    sqlite3 *db;
    int r = check_header(path, why);
    if (r < 0)
        return r;
    int rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    /* While it is in doubt, closing must not fold the log into the file. */
    if (rc == SQLITE_OK)
        rc = sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, settings, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, sync_each_commit ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL", NULL,
                          NULL, NULL);
    if (rc == SQLITE_OK)
        rc = demand(db, "PRAGMA journal_mode = WAL", "wal", SQLITE_CANTOPEN);
    if (rc == SQLITE_OK)
        rc = demand(db, "PRAGMA quick_check(1)", "ok", SQLITE_CORRUPT);
    if (rc == SQLITE_OK)
        rc = sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    if (rc != SQLITE_OK) {
        sqlite3_close(db);
        return refuse(path, rc, why);
    }
    *ret = db;
    return 0;
}
