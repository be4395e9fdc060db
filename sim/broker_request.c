/*
 * broker_request.c - what is checked before a request comes to the core (daemon/requests.c): lengths, texts, sums.
 */
#include <string.h>

#include "base/status.h"
#include "base/text.h"
#include "broker_node.h"

static int look_extents(const extent *e, uint32_t n)
{
    uint64_t sum = 0;
    if (n > EXTENTS_MAX)
        return STATUS_INVALID;
    for (uint32_t i = 0; i < n; i++) {
        if (e[i].chunks == 0)
            return STATUS_INVALID;
        sum += e[i].chunks;
    }
    return sum > UINT32_MAX ? STATUS_INVALID : 0;
}

static int look_terms(const broker_node *b, allocation_terms *t)
{
    uint64_t all;
    if (t->chunk_size == 0 || t->want == 0 || __builtin_mul_overflow(t->chunk_size, (uint64_t)t->want, &all) ||
        all > INT64_MAX)
        return STATUS_INVALID;
    if ((t->flags & ~(uint32_t)(TERM_ALL | TERM_KEEP)) || t->min > t->want)
        return STATUS_INVALID;
    if ((t->flags & TERM_KEEP) && (t->flags & (TERM_RECALLABLE | TERM_REVOCABLE)))
        return STATUS_INVALID;
    if (!text_printable(t->label) || !text_printable(t->filter))
        return STATUS_INVALID;
    bool gives = (t->flags & TERM_GROWABLE) && !(t->flags & TERM_KEEP);
    t->min = t->min || (t->flags & TERM_GROWABLE) ? t->min : t->want;
    t->flags = (t->flags & TERM_ALL) | (gives ? TERM_RECALLABLE : 0);
    t->notice_ms = t->notice_ms ? t->notice_ms : b->options.timers.notice_ms;
    t->wait_ms = t->wait_ms ? t->wait_ms : MS_NEVER;
    return 0;
}

int request_look(const broker_node *b, core_event *e)
{
    switch (e->kind) {
    case EVENT_ALLOCATE:
        return look_terms(b, &e->allocate.terms);
    case EVENT_RELEASE:
        return look_extents(e->release.extents, e->release.n);
    case EVENT_RELEASE_N:
        return look_extents(e->release_n.busy, e->release_n.n);
    case EVENT_OFFER:
        return e->offer.n > OFFER_MAX ? STATUS_INVALID : 0;
    case EVENT_SHRINK:
        return e->shrink.chunks == 0 ? STATUS_INVALID : 0;
    default:
        return e->kind >= EVENT_ALLOCATE && e->kind < EVENT_KINDS ? 0 : STATUS_INVALID;
    }
}
