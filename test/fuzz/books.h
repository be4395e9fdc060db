/*
 * books.h - a core with small tables, its journal, and the judges that every target has for them.
 *
 * The tables are small on purpose: that they are full is met in a few steps.
 */
#ifndef GRANARY_TEST_FUZZ_BOOKS_H
#define GRANARY_TEST_FUZZ_BOOKS_H

#include "core/core.h"

#define BOOKS_JOURNAL_MAX (4u << 20) /* far more than an input can make */

typedef struct {
    uint8_t *data;
    size_t size;
} books_bytes;

typedef struct {
    core *core;
    void *arena;
    core_effects effects; /* of the last step */
    books_bytes journal;
} books;

/* An empty core and an empty journal; memory is kept from one input to the next. */
void books_start(books *b);

void books_append(books_bytes *to, const uint8_t *from, size_t size);

/* Loads the records into the core. 0, or what record_decode() or core_load() said, `*ret_used` bytes in. */
int books_load(books *b, const books_bytes *journal, size_t *ret_used);

/* The records of the last effects go into the journal. */
void books_keep(books *b);

/* One step, and its judges: it is taken, its records are kept, core_check() passes, what it points to can be read. */
void books_step(books *b, ms_t now, const core_event *event);
void books_check(const books *b);

/* Steps until nothing is due. */
void books_settle(books *b, ms_t now);

/*
 * The journal replayed gives the same books, byte for byte, and they, exported, too. `other` is the memory for it; its
 * core is loaded and not yet recovered. The journal becomes the export, as compaction does it.
 */
void books_prove_replay(books *b, books *other);

#endif
