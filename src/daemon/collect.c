#include "daemon/collect.h"

#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "core/view.h"
#include "daemon/broker.h"

/* ---- sets ---- */

int collect_set_add(collect_set *s, uint64_t gen)
{
    uint32_t at = s->n;
    while (at > 0 && s->items[at - 1] > gen)
        at--;
    if (at > 0 && s->items[at - 1] == gen)
        return 0;
    if (s->n == s->capacity) {
        uint32_t capacity = s->capacity ? s->capacity * 2 : 64;
        uint64_t *items = reallocarray(s->items, capacity, sizeof *items);
        if (!items)
            return STATUS_NO_MEMORY;
        s->items = items;
        s->capacity = capacity;
    }
    memmove(s->items + at + 1, s->items + at, (s->n - at) * sizeof *s->items);
    s->items[at] = gen;
    s->n++;
    return 0;
}

void collect_set_finish(collect_set *s)
{
    free(s->items);
    *s = (collect_set){0};
}

int collect_difference(const collect_set *a, const collect_set *b, collect_set *ret)
{
    uint32_t i = 0, j = 0;
    int r = 0;
    while (r == 0 && (i < a->n || j < b->n)) {
        if (i < a->n && j < b->n && a->items[i] == b->items[j]) {
            i++;
            j++;
        } else if (j == b->n || (i < a->n && a->items[i] < b->items[j])) {
            r = collect_set_add(ret, a->items[i++]);
        } else {
            r = collect_set_add(ret, b->items[j++]);
        }
    }
    return r;
}

bool collect_common(const collect_set *a, const collect_set *b, uint64_t *ret)
{
    uint32_t i = 0, j = 0;
    while (i < a->n && j < b->n) {
        if (a->items[i] == b->items[j]) {
            *ret = a->items[i];
            return true;
        }
        if (a->items[i] < b->items[j])
            i++;
        else
            j++;
    }
    return false;
}

/* ---- claims ---- */

/* Claims that the agent must have: told to open, and not seen drained. */
static int in_books(const broker *b, collect_set *ret)
{
    claim_view k;
    int r = 0;
    for (uint32_t cursor = 0; r == 0 && view_claim(b->driver.core, &cursor, &k);)
        if (k.host.v == b->link.host.v)
            r = collect_set_add(ret, k.gen.v);
    return r;
}

static int in_sample(const broker *b, collect_set *ret)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < b->link.n_claims; i++)
        r = collect_set_add(ret, b->link.claims[i].gen);
    return r;
}

static void collect_claims(broker *b)
{
    collect_set books = {0}, told = {0}, differs = {0};
    uint64_t gen;
    int r = STATUS_STATE;
    if (b->link.channel && b->link.greeted && b->link.sampled)
        r = in_books(b, &books);
    if (r == 0)
        r = in_sample(b, &told);
    if (r == 0)
        r = collect_difference(&books, &told, &differs);
    bool wrong = r == 0 && collect_common(&b->collect.differs, &differs, &gen);
    collect_set_finish(&books);
    collect_set_finish(&told);
    collect_set_finish(&b->collect.differs);
    if (r == 0 && !wrong) {
        b->collect.differs = differs;
        return;
    }
    collect_set_finish(&differs);
    if (wrong) {
        log_write(b->log, LOG_WARNING, "host=%s claim=%llu only one of the books and the agent knows it", b->local_host,
                  (unsigned long long)gen);
        link_renew(b, "books and agent know different claims");
    }
}

/* ---- the timer ---- */

static void on_collect(uv_timer_t *timer)
{
    broker *b = timer->data;
    if (b->failed || b->ending)
        return;
    peers_collect(b);
    watch_collect(b);
    collect_claims(b);
}

void collect_init(broker *b)
{
    uv_timer_init(&b->loop, &b->collect.timer);
    b->collect.timer.data = b;
}

void collect_start(broker *b)
{
    uv_timer_start(&b->collect.timer, on_collect, b->config.collect_ms, b->config.collect_ms);
}

void collect_finish(broker *b)
{
    collect_set_finish(&b->collect.differs);
}
