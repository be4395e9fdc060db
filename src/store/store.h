/*
 * store.h - the contract of a journal.
 *
 * A store keeps one snapshot and the commits after it. A commit is one blob: the encoded records
 * (core/record.h) of the steps that are made durable together. store_load() gives the snapshot's
 * blobs first, then every later commit in order; replaying them gives the durable state.
 *
 * Implementations: sqlite.h (the default), memory.h (the reference, for tests and simulation).
 * Not thread-safe; one process opens a store at a time (the sqlite store holds a lock).
 * A store that has failed a commit or a snapshot stays failed: every later call returns the
 * same status, and the broker ends (never retry a failed sync and pretend). The one exception is a
 * snapshot that does not fit on a full disk: STATUS_NOT_NOW, and the journal is as before.
 */
#ifndef GRANARY_STORE_STORE_H
#define GRANARY_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_TEXT_MAX 256u /* a sentence with a path in it */

typedef struct store store;

/* What the store knows beside the journal. Written at creation, or by store_reserve(). */
typedef struct {
    char broker_id[33]; /* 32 hex digits, random, for life */
    char boot_id[40];   /* of the machine when the last store_open() succeeded before this one */
    uint64_t reserved;  /* every generation and session number below this may have been used */
} store_meta;

typedef struct {
    int (*load)(store *s, int (*blob)(void *userdata, const uint8_t *data, size_t size), void *userdata);
    int (*commit)(store *s, const uint8_t *data, size_t size);
    int (*snapshot_begin)(store *s);
    int (*snapshot_put)(store *s, const uint8_t *data, size_t size);
    int (*snapshot_end)(store *s);
    int (*reserve)(store *s, uint64_t upto);
    uint64_t (*journal_bytes)(const store *s);
    void (*close)(store *s);
} store_vtable;

struct store {
    const store_vtable *vtable;
    store_meta meta;
    int failed;                   /* the first failure's status; 0 = usable */
    char failure[STORE_TEXT_MAX]; /* its sentence */
    char notice[STORE_TEXT_MAX];  /* for store_notice() */
    bool notice_waits;            /* and it was not yet given */
};

/*
 * Hands every blob to `blob` in order. Stops at its first nonzero answer and returns that.
 * Errors: STATUS_CORRUPT, STATUS_SYSTEM.
 */
int store_load(store *s, int (*blob)(void *userdata, const uint8_t *data, size_t size), void *userdata);

/* Makes one blob durable: when it returns 0 the blob survives the death of any process (and of
 * the machine, if the store was opened so). Errors: STATUS_SYSTEM (disk full, I/O; see
 * store_failure). */
int store_commit(store *s, const uint8_t *data, size_t size);

/*
 * Replaces snapshot and journal by the blobs put between begin and end, in one transaction. STATUS_NOT_NOW: no
 * room; the transaction is over, everything is as before. Commits between begin and end are an assert.
 */
int store_snapshot_begin(store *s);
int store_snapshot_put(store *s, const uint8_t *data, size_t size);
int store_snapshot_end(store *s);

/* Durably (synced even when commits are not) raises meta.reserved. */
int store_reserve(store *s, uint64_t upto);

/* Bytes committed since the last snapshot: tells when to compact. */
uint64_t store_journal_bytes(const store *s);

/* A sentence about the failure that made the store unusable, or NULL. Owned by the store. */
const char *store_failure(const store *s);

/* A sentence for the log about something that went wrong without harm yet (the disk is full, the ballast was given
 * up), or NULL. Each is given once. Owned by the store until its next call. */
const char *store_notice(store *s);

/* NULL is fine. */
void store_close(store *s);

#endif
