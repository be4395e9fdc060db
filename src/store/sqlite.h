/*
 * sqlite.h - the default store: one SQLite database, WAL, exactly one connection.
 */
#ifndef GRANARY_STORE_SQLITE_H
#define GRANARY_STORE_SQLITE_H

#include <stdbool.h>

#include "store/store.h"

typedef struct {
    const char *directory; /* exists; journal.db, journal.lock and ballast live there */
    bool sync_each_commit; /* durability = power */
    bool must_exist;       /* do not create a new database */
} store_sqlite_options;

/*
 * Opens or creates the journal. Errors: STATUS_CORRUPT (the file is no journal of ours, of
 * another schema version, torn, or fails quick_check), STATUS_BUSY (another process holds it), STATUS_NOT_FOUND
 * (must_exist, and there is none), STATUS_SYSTEM, STATUS_NO_MEMORY. On failure `why` holds a sentence that names the
 * file and what to do, and nothing was changed.
 */
int store_sqlite_open(store **ret, const store_sqlite_options *options, char *why, size_t why_size);

#endif
