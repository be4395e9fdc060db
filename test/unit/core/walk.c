/* walk.c - see walk.h: the dice, and a step. */
#include "walk.h"

uint64_t walk_roll(sim *s)
{
    s->seed ^= s->seed << 13;
    s->seed ^= s->seed >> 7;
    s->seed ^= s->seed << 17;
    return s->seed * 0x2545f4914f6cdd1du >> 11;
}

uint32_t walk_below(sim *s, uint32_t n)
{
    return (uint32_t)(walk_roll(s) % n);
}

/* What the core asked for is queued at the machines; replies and pushes are counted. */
void walk_absorb(sim *s)
{
    for (uint32_t i = 0; i < s->w.effects.count; i++) {
        const core_effect *e = &s->w.effects.items[i];
        if (e->kind == EFFECT_REPLY)
            s->replies++;
        if (e->kind == EFFECT_NOTE && e->note.kind == NOTE_GRANTED)
            s->grants++;
        if (e->kind == EFFECT_NOTE && e->note.kind == NOTE_RECALL)
            s->recalls++;
        if (e->kind == EFFECT_NOTE && e->note.kind == NOTE_REVOKED)
            s->revoked++;
        if (e->kind != EFFECT_ORDER)
            continue;
        machine *m = &s->m[e->order.host.v];
        assert_true(m->connected);
        assert_true(m->n_orders < ORDERS);
        m->orders[m->n_orders++] = e->order;
    }
}

typedef struct {
    char *at, *end;
} picture;

/* Everything durable but the answers themselves, and how far sessions have come. */
static int paint(void *userdata, const core_record *record)
{
    picture *p = userdata;
    if (record->kind == RECORD_ANSWER || record->kind == RECORD_SESSION)
        return 0;
    size_t n = record_encode(record, (uint8_t *)p->at, (size_t)(p->end - p->at));
    assert_true(n > 0);
    p->at += n;
    return 0;
}

static size_t export_into(const sim *s, char *to, size_t size)
{
    picture p = {to, to + size};
    assert_int_equal(core_export(s->w.core, paint, &p), 0);
    return (size_t)(p.at - to);
}

void walk_step(sim *s, const core_event *e)
{
    size_t was = s->tiny ? export_into(s, s->before, sizeof(s->before)) : 0;
    bool quiet = s->tiny && core_next_deadline(s->w.core) > s->w.now; /* nothing else is due */
    world_step(&s->w, e);
    walk_absorb(s);
    const effect_reply *r = world_reply(&s->w);
    if (r && r->status == STATUS_LIMIT) {
        s->limits++;
        if (quiet) {
            assert_int_equal(export_into(s, s->after, sizeof(s->after)), was);
            assert_memory_equal(s->before, s->after, was);
        }
    }
    for (int i = 0; i < 100 && core_next_deadline(s->w.core) == 0; i++) {
        world_tick(&s->w, 0);
        walk_absorb(s);
    }
}
