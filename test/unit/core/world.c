/*
 * world.c - see world.h.
 */
#include "world.h"

#include <stdio.h>

static const core_limits limits_default = {.hosts = 64,
                                           .users = 8,
                                           .sessions = 32,
                                           .allocations = 256,
                                           .holdings = 1024,
                                           .claims = 1024,
                                           .recalls = 512,
                                           .answers = 1024};

static void core_make(world *w)
{
    size_t size = core_arena_size(&w->limits);
    assert_true(size > 0);
    w->arena = aligned_alloc(64, (size + 63) / 64 * 64);
    assert_non_null(w->arena);
    memset(w->arena, 0xa5, size); /* nothing may rely on a cleared arena */
    assert_int_equal(core_init(&w->core, &w->limits, &w->timers, w->arena, size), 0);
}

static void config(world *w)
{
    core_event e = {.kind = EVENT_CONFIG_HOST, .config_host = {.name = "*"}};
    world_step(w, &e);
}

void world_open_with(world *w, core_limits limits)
{
    memset(w, 0, sizeof(*w));
    w->limits = limits;
    w->timers = core_timers_default;
    w->effects.capacity = EFFECTS_MAX;
    w->effects.items = calloc(EFFECTS_MAX, sizeof(core_effect));
    w->now = 1000;
    core_make(w);
    assert_int_equal(core_recover(w->core, w->now, true, &w->effects), 0);
    config(w);
}

void world_open(world *w)
{
    world_open_with(w, limits_default);
}

void world_close(world *w)
{
    free(w->arena);
    free(w->effects.items);
    free(w->journal);
}

static void keep(world *w)
{
    for (uint32_t i = 0; i < w->effects.count; i++) {
        if (w->effects.items[i].kind != EFFECT_RECORD)
            continue;
        if (w->n_journal == w->room_journal) {
            w->room_journal = w->room_journal ? w->room_journal * 2 : 1024;
            w->journal = realloc(w->journal, w->room_journal * sizeof(core_record));
            assert_non_null(w->journal);
        }
        w->journal[w->n_journal++] = w->effects.items[i].record;
    }
}

void world_step(world *w, const core_event *e)
{
    assert_int_equal(core_step(w->core, w->now, e, &w->effects), 0);
    keep(w);
    if (!w->quiet)
        STEP_CHECKED(w);
}

void world_tick(world *w, ms_t later)
{
    core_event e = {.kind = EVENT_TICK};
    w->now += later;
    world_step(w, &e);
}

void world_settle(world *w)
{
    for (int i = 0; i < 10000 && core_next_deadline(w->core) == 0; i++)
        world_tick(w, 0);
    assert_true(core_next_deadline(w->core) != 0);
}

void world_hello(world *w, const char *name, const char *boot, bytes_t total)
{
    core_event e = {.kind = EVENT_HOST_HELLO,
                    .hello = {.physical = total, .total = total, .cores = 4, .limited = true}};
    snprintf(e.hello.name, sizeof(e.hello.name), "%s", name);
    snprintf(e.hello.boot_id, sizeof(e.hello.boot_id), "%s", boot);
    world_step(w, &e);
}

void world_sample(world *w, host_id h, bytes_t in_use, bytes_t claims)
{
    core_event e = {.kind = EVENT_HOST_SAMPLE, .sample = {h, in_use, claims}};
    world_step(w, &e);
}

host_id world_host(world *w, const char *name, bytes_t total)
{
    world_hello(w, name, "boot-1", total);
    host_view v;
    assert_int_equal(view_host_by_name(w->core, name, &v), 0);
    world_sample(w, v.id, 0, 0);
    return v.id;
}

session_id world_session(world *w, uint32_t uid, bool operator_)
{
    core_event e = {.kind = EVENT_SESSION_OPEN,
                    .session = {.user = {uid}, .pid = 100, .operator_ = operator_, .link = 7, .token = {1, 2, 3}}};
    world_step(w, &e);
    const effect_reply *r = world_reply(w);
    assert_non_null(r);
    assert_int_equal(r->status, 0);
    return r->session;
}

core_event world_request(world *w, session_id s, event_kind kind)
{
    assert_true(s.v < 4096);
    core_event e = {.kind = kind, .request = {s, {++w->numbers[s.v]}, {0}}};
    return e;
}

allocation_terms world_terms(bytes_t chunk_size, chunks_t want, chunks_t min, uint32_t flags)
{
    return (allocation_terms){.label = TEST_LABEL,
                              .chunk_size = chunk_size,
                              .want = want,
                              .min = min,
                              .flags = flags,
                              .notice_ms = 1000,
                              .wait_ms = MS_NEVER};
}

int world_allocate(world *w, session_id s, allocation_terms t, allocation_id *ret)
{
    core_event e = world_request(w, s, EVENT_ALLOCATE);
    e.allocate.terms = t;
    world_step(w, &e);
    const effect_reply *r = world_reply(w);
    assert_non_null(r);
    if (ret)
        *ret = r->allocation;
    return r->status;
}

int world_release(world *w, session_id s, allocation_id a, recall_id q, host_id h, chunks_t n)
{
    extent x = {h, n};
    core_event e = world_request(w, s, EVENT_RELEASE);
    e.release.id = a;
    e.release.recall = q;
    e.release.extents = &x;
    e.release.n = 1;
    world_step(w, &e);
    assert_non_null(world_reply(w));
    return world_reply(w)->status;
}

void world_answer(world *w, event_kind kind, host_id h, generation g, int status, uint64_t tag)
{
    core_event e = {.kind = kind, .answer = {.host = h, .gen = g, .status = status, .tag = tag}};
    world_step(w, &e);
}

int world_claim(world *w, session_id s, allocation_id a, host_id h, chunks_t n, generation *ret)
{
    core_event e = world_request(w, s, EVENT_CLAIM);
    e.claim.id = a;
    e.claim.host = h;
    e.claim.chunks = n;
    world_step(w, &e);
    const effect_order *o = world_order(w, ORDER_OPEN, 0);
    if (!o)
        return world_reply(w)->status;
    assert_null(world_reply(w));
    world_answer(w, EVENT_CLAIM_OPENED, h, o->gen, 0, o->tag);
    assert_non_null(world_reply(w));
    if (ret)
        *ret = world_reply(w)->claim;
    return world_reply(w)->status;
}

generation world_open_claimed(world *w, chunks_t want, uint32_t flags, chunks_t n, host_id *ret_host,
                              session_id *ret_session, allocation_id *ret_allocation)
{
    allocation_id a;
    generation g;
    world_open(w);
    *ret_host = world_host(w, "a", GIB(4));
    *ret_session = world_session(w, 1000, false);
    assert_int_equal(world_allocate(w, *ret_session, world_terms(GIB(1), want, want, flags), &a), 0);
    assert_int_equal(world_claim(w, *ret_session, a, *ret_host, n, &g), 0);
    if (ret_allocation)
        *ret_allocation = a;
    return g;
}

void world_close_claim(world *w, session_id s, generation g, bool kill)
{
    core_event e = world_request(w, s, EVENT_CLOSE);
    e.close.gen = g;
    e.close.kill = kill;
    world_step(w, &e);
}

void world_drained(world *w, host_id h, generation g)
{
    core_event e = {.kind = EVENT_CLAIM_DRAINED, .use = {.host = h, .gen = g, .peak = 123}};
    world_step(w, &e);
}

#define FIND(w, effect, field, wanted, n)                                                                              \
    for (uint32_t i_ = 0, left_ = (n); i_ < (w)->effects.count; i_++) {                                                \
        const core_effect *e_ = &(w)->effects.items[i_];                                                               \
        if (e_->kind == (effect) && (wanted) && left_-- == 0)                                                          \
            return &e_->field;                                                                                         \
    }                                                                                                                  \
    return NULL

const effect_reply *world_reply(const world *w)
{
    FIND(w, EFFECT_REPLY, reply, true, 0);
}

const effect_push *world_push(const world *w, push_kind kind, uint32_t n)
{
    FIND(w, EFFECT_PUSH, push, e_->push.kind == kind, n);
}

const effect_order *world_order(const world *w, order_kind kind, uint32_t n)
{
    FIND(w, EFFECT_ORDER, order, e_->order.kind == kind, n);
}

const effect_note *world_note(const world *w, note_kind kind)
{
    FIND(w, EFFECT_NOTE, note, e_->note.kind == kind, 0);
}

host_view world_view(const world *w, host_id h)
{
    host_view v;
    assert_int_equal(view_host_by_id(w->core, h, &v), 0);
    return v;
}

allocation_view world_allocation(const world *w, allocation_id a)
{
    allocation_view v;
    assert_int_equal(view_allocation_by_id(w->core, a, &v), 0);
    return v;
}

/* ---- the journal ---- */

typedef struct {
    uint8_t *bytes;
    size_t used, room;
} blob;

static int put(void *userdata, const core_record *record)
{
    blob *b = userdata;
    if (b->room - b->used < RECORD_BYTES_MAX) {
        b->room = b->room ? b->room * 2 : 65536;
        b->bytes = realloc(b->bytes, b->room);
        assert_non_null(b->bytes);
    }
    size_t n = record_encode(record, b->bytes + b->used, RECORD_BYTES_MAX);
    assert_true(n > 0);
    b->used += n;
    return 0;
}

static void replay_into(const world *w, core *c)
{
    for (size_t i = 0; i < w->n_journal; i++) {
        uint8_t bytes[RECORD_BYTES_MAX];
        size_t n = record_encode(&w->journal[i], bytes, sizeof(bytes)), used;
        core_record r;
        assert_true(n > 0);
        assert_int_equal(record_decode(bytes, n, &r, &used), 0);
        assert_int_equal(used, n);
        int status = core_load(c, &r);
        if (status)
            fail_msg("record %zu of kind %d: %s", i, r.kind, status_name(status));
    }
}

void world_replay(world *w)
{
    world other = {.limits = w->limits, .timers = w->timers};
    blob a = {0}, b = {0};
    core_make(&other);
    replay_into(w, other.core);
    assert_int_equal(core_export(w->core, put, &a), 0);
    assert_int_equal(core_export(other.core, put, &b), 0);
    for (size_t i = 0, x = 0, y = 0; x < a.used && y < b.used; i++) {
        core_record ra, rb;
        size_t nx, ny;
        assert_int_equal(record_decode(a.bytes + x, a.used - x, &ra, &nx), 0);
        assert_int_equal(record_decode(b.bytes + y, b.used - y, &rb, &ny), 0);
        if (nx != ny || memcmp(a.bytes + x, b.bytes + y, nx) != 0)
            fail_msg("the replay differs at record %zu: kind %d here, %d there, number %ju / %ju", i, ra.kind, rb.kind,
                     (uintmax_t)ra.recall_end.v, (uintmax_t)rb.recall_end.v);
        x += nx;
        y += ny;
    }
    assert_int_equal(a.used, b.used);
    free(a.bytes);
    free(b.bytes);
    free(other.arena);
}

void world_restart(world *w, bool same_boot)
{
    world_replay(w);
    free(w->arena);
    core_make(w);
    replay_into(w, w->core);
    if (!same_boot)
        w->now = 1;
    assert_int_equal(core_recover(w->core, w->now, same_boot, &w->effects), 0);
    keep(w);
    STEP_CHECKED(w);
    config(w);
    world_settle(w);
}
