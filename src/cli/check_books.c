/*
 * check_books.c - the snapshot against itself (see differences.h). Counts every sum anew; shares no code with the
 * broker.
 */
#include <inttypes.h>
#include <string.h>

#include "base/status.h"
#include "base/text.h"
#include "cli/lists.h"
#include "cli/books.h"
#include "cli/differences.h"

/* Stops at the first failure of memory; differences themselves are no failure. */
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        int try_r = (call);                                                                                            \
        if (try_r < 0)                                                                                                 \
            return try_r;                                                                                              \
    } while (0)

static bool is_quarantined(const Granary__ClaimInfo *c)
{
    return strcmp(c->state, "quarantined") == 0;
}

static const Granary__AllocationInfo *allocation_of(const snapshot *s, uint64_t id)
{
    for (size_t i = 0; i < s->n_allocations; i++)
        if (s->allocations[i]->id == id)
            return s->allocations[i];
    for (size_t i = 0; i < s->n_queue; i++)
        if (s->queue[i]->allocation && s->queue[i]->allocation->id == id)
            return s->queue[i]->allocation;
    return NULL;
}

static int check_host(const snapshot *s, const Granary__HostInfo *h, differences *d)
{
    uint64_t granted = 0, returning = 0, quarantine = 0;
    uint64_t columns = h->set_aside + h->foreign + h->granted + h->returning + h->held + h->quarantine + h->free;

    if (columns - h->overdraft != h->total)
        TRY(differences_add(d, "host-columns", h->id,
                            "host %s: its columns add up to %" PRIu64 " bytes, but its total is %" PRIu64, h->name,
                            columns - h->overdraft, h->total));
    for (size_t i = 0; i < s->n_allocations; i++)
        for (size_t k = 0; k < s->allocations[i]->n_holdings; k++) {
            const Granary__HoldingInfo *x = s->allocations[i]->holdings[k];
            if (x->host != h->id)
                continue;
            granted += s->allocations[i]->chunk_size * x->chunks;
            returning += s->allocations[i]->chunk_size * x->returning;
        }
    for (size_t i = 0; i < s->n_claims; i++) {
        const Granary__AllocationInfo *a = allocation_of(s, s->claims[i]->allocation);
        if (a && s->claims[i]->host == h->id && is_quarantined(s->claims[i]))
            quarantine += a->chunk_size * s->claims[i]->chunks;
    }
    const struct {
        const char *key, *name;
        uint64_t column, sum;
    } rows[] = {
        {"host-granted", "granted", h->granted, granted},
        {"host-returning", "returning", h->returning, returning},
        {"host-quarantine", "quarantine", h->quarantine, quarantine},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].column != rows[i].sum)
            TRY(differences_add(d, rows[i].key, h->id,
                                "host %s: its column '%s' is %" PRIu64 " bytes, but its allocations make %" PRIu64,
                                h->name, rows[i].name, rows[i].column, rows[i].sum));
    return 0;
}

static int check_allocation(const snapshot *s, const Granary__AllocationInfo *a, differences *d)
{
    uint64_t chunks = 0;

    for (size_t i = 0; i < a->n_holdings; i++) {
        const Granary__HoldingInfo *x = a->holdings[i];
        uint64_t claimed = 0;
        chunks += x->chunks;
        for (size_t k = 0; k < s->n_claims; k++)
            if (s->claims[k]->allocation == a->id && s->claims[k]->host == x->host && !is_quarantined(s->claims[k]))
                claimed += s->claims[k]->chunks;
        if (claimed != x->claimed)
            TRY(differences_add(d, "holding-claimed", a->id,
                                "allocation %" PRIu64 ": %u %s claimed on %s, but its claims make %" PRIu64, a->id,
                                x->claimed, text_plural(x->claimed, "chunk is", "chunks are"),
                                books_host_name(s, x->host), claimed));
        if (claimed > (uint64_t)x->chunks + x->returning)
            TRY(differences_add(d, "holding-over", a->id,
                                "allocation %" PRIu64 ": its claims on %s have %" PRIu64
                                " %s, but it holds only %u (and %u returning)",
                                a->id, books_host_name(s, x->host), claimed, text_plural(claimed, "chunk", "chunks"),
                                x->chunks, x->returning));
    }
    if (chunks != a->chunks)
        TRY(differences_add(d, "allocation-chunks", a->id,
                            "allocation %" PRIu64 ": holds %u %s, but its hosts make %" PRIu64, a->id, a->chunks,
                            text_plural(a->chunks, "chunk", "chunks"), chunks));
    return 0;
}

/* The broker never asks below what is firm; people may ask for everything. */
static int check_asked(const snapshot *s, const Granary__AllocationInfo *a, differences *d)
{
    uint64_t broker = 0, people = 0;

    for (size_t i = 0; i < s->n_recalls; i++)
        if (s->recalls[i]->allocation == a->id)
            *(strcmp(s->recalls[i]->reason, "operator") == 0 ? &people : &broker) += lists_recall_open(s->recalls[i]);
    if (broker > 0 && broker + a->min > a->chunks)
        TRY(differences_add(d, "recall-min", a->id,
                            "allocation %" PRIu64 ": %" PRIu64 " of %u %s asked back, but %u %s firm", a->id, broker,
                            a->chunks, text_plural(a->chunks, "chunk is", "chunks are"), a->min,
                            text_plural(a->min, "is", "are")));
    if (broker + people > a->chunks)
        TRY(differences_add(d, "recall-more", a->id,
                            "allocation %" PRIu64 ": %" PRIu64 " %s asked back, but it holds only %u", a->id,
                            broker + people, text_plural(broker + people, "chunk is", "chunks are"), a->chunks));
    return 0;
}

static int check_recalls(const snapshot *s, differences *d)
{
    for (size_t i = 0; i < s->n_recalls; i++) {
        const Granary__RecallInfo *r = s->recalls[i];
        uint64_t answered = (uint64_t)r->released + r->withdrawn + r->revoked;
        if (answered > r->asked)
            TRY(differences_add(
                d, "recall-counts", r->id, "recall %" PRIu64 ": asked for %u %s, but %" PRIu64 " %s answered", r->id,
                r->asked, text_plural(r->asked, "chunk", "chunks"), answered, text_plural(answered, "was", "were")));
        if (lists_recall_open(r) > 0 && !allocation_of(s, r->allocation))
            TRY(differences_add(d, "recall-orphan", r->id,
                                "recall %" PRIu64 ": its allocation %" PRIu64 " is not in the books", r->id,
                                r->allocation));
    }
    for (size_t i = 0; i < s->n_allocations; i++)
        TRY(check_asked(s, s->allocations[i], d));
    return 0;
}

int check_books(const snapshot *s, differences *d)
{
    for (size_t i = 0; i < s->n_hosts; i++)
        TRY(check_host(s, s->hosts[i], d));
    for (size_t i = 0; i < s->n_allocations; i++)
        TRY(check_allocation(s, s->allocations[i], d));
    for (size_t i = 0; i < s->n_claims; i++)
        if (!allocation_of(s, s->claims[i]->allocation))
            TRY(differences_add(d, "claim-orphan", s->claims[i]->id,
                                "claim %" PRIu64 ": its allocation %" PRIu64 " is not in the books", s->claims[i]->id,
                                s->claims[i]->allocation));
    return check_recalls(s, d);
}
