/*
 * recovery.h - from a journal to a core that may be stepped.
 */
#ifndef GRANARY_DAEMON_RECOVERY_H
#define GRANARY_DAEMON_RECOVERY_H

#include "daemon/driver.h"

/* A session that was open when the last broker ended; its process is to be watched again. */
typedef struct {
    session_id session;
    int32_t pid;
    uint64_t pid_start;
} recovered_session;

typedef struct {
    uint64_t records;
    recovered_session *sessions; /* owned by whoever called */
    uint32_t n_sessions;
} recovered;

/*
 * Loads the driver's store into its core, raises the counters to what the store has reserved, and recovers: the
 * effects go to the sink, the records into the next commit. `boot_id` is the machine's now. Errors, with a sentence in
 * `why`: STATUS_CORRUPT, STATUS_LIMIT (the tables are smaller than the books), STATUS_SYSTEM, STATUS_NO_MEMORY.
 */
int recovery_run(driver *d, const char *boot_id, recovered *ret, char *why, size_t why_size);

#endif
