/* player.c - see player.h. */
#include "player.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const host_names[HOSTS] = {"a", "b", "c", "d", "e"};

static const core_limits limits_most = {.hosts = HOSTS + 1,
                                        .users = 8,
                                        .sessions = 64,
                                        .allocations = 64,
                                        .holdings = 256,
                                        .claims = 128,
                                        .recalls = 64,
                                        .answers = 2048};
static const core_timers timers = {.suspect_ms = 4000,
                                   .grace_ms = 5000,
                                   .age_guard_ms = 3000,
                                   .notice_ms = 2000,
                                   .ask_ms = 20,
                                   .returning_ms = 1500,
                                   .quarantine_ms = 1000};

/* As few bytes as `below` needs. */
static uint32_t draw_byte(run *r, uint32_t below)
{
    uint32_t value = 0;
    for (uint32_t most = below - 1; most > 0; most >>= 8) {
        value = value << 8 | (r->bytes_left > 0 ? *r->bytes : 0);
        r->bytes += r->bytes_left > 0;
        r->bytes_left -= r->bytes_left > 0;
    }
    return value % below;
}

uint32_t player_draw(run *r, uint32_t below)
{
    if (r->bytes)
        return draw_byte(r, below);
    r->state ^= r->state << 13;
    r->state ^= r->state >> 7;
    r->state ^= r->state << 17;
    return (uint32_t)((r->state >> 20) % below);
}

__attribute__((noreturn)) void player_wrong(run *r, const char *judge, const char *why)
{
    fprintf(stderr, "seed %" PRIu64 " step %u (%s, at %" PRIu64 "ms): %s: %s\n", r->seed, r->step, r->doing, r->now,
            judge, why);
    exit(1);
}

/* ---- the journal ---- */

static void load(run *r, core *c)
{
    size_t used;
    for (size_t at = 0; at < r->journal_size; at += used) {
        core_record record;
        if (record_decode(r->journal + at, r->journal_size - at, &record, &used) < 0 || core_load(c, &record) < 0)
            player_wrong(r, "I7", "a record cannot be loaded");
    }
}

typedef struct {
    uint8_t *data;
    size_t size;
} export;

static int export_put(void *userdata, const core_record *record)
{
    export *e = userdata;
    e->size += record_encode(record, e->data + e->size, JOURNAL - e->size);
    return 0;
}

static core *core_make(run *r, void *arena)
{
    core *c = NULL;
    if (core_init(&c, &r->limits, &timers, arena, core_arena_size(&r->limits)) < 0)
        player_wrong(r, "core_init", "it failed");
    return c;
}

static void show_bytes(const char *what, const uint8_t *data, size_t size)
{
    fprintf(stderr, "%s", what);
    for (size_t i = 0; i < size; i++)
        fprintf(stderr, " %02x", data[i]);
    fputc('\n', stderr);
}

/* Names the first record that differs. */
static void wrong_replay(run *r, const export *live, const export *replayed)
{
    char why[160];
    core_record a, b;
    size_t at = 0, used_a = 0, used_b = 0;
    int n = 0;
    do {
        at += used_a;
        n++;
        if (record_decode(live->data + at, live->size - at, &a, &used_a) < 0)
            a.kind = 0;
        if (record_decode(replayed->data + at, replayed->size - at, &b, &used_b) < 0)
            b.kind = 0;
    } while (a.kind && used_a == used_b && memcmp(live->data + at, replayed->data + at, used_a) == 0);
    uint64_t id = a.kind == RECORD_RECALL ? a.recall.id.v : a.kind == RECORD_CLAIM ? a.claim.gen.v : a.allocation.id.v;
    snprintf(why, sizeof why,
             "the replayed journal gives other books: record %d is of kind %d (id %" PRIu64 "), not %d", n, (int)b.kind,
             id, (int)a.kind);
    show_bytes("live:    ", live->data + at, used_a);
    show_bytes("replayed:", replayed->data + at, used_b);
    player_wrong(r, "I7", why);
}

void player_prove_replay(run *r)
{
    static export live, replayed;
    if (!live.data) {
        live.data = malloc(JOURNAL);
        replayed.data = malloc(JOURNAL);
    }
    live.size = replayed.size = 0;
    core *second = core_make(r, r->arena_replay);
    load(r, second);
    core_export(r->core, export_put, &live);
    core_export(second, export_put, &replayed);
    if (live.size != replayed.size || memcmp(live.data, replayed.data, live.size) != 0)
        wrong_replay(r, &live, &replayed);
    /* A snapshot is the same records: compaction keeps the journal short. */
    memcpy(r->journal, live.data, live.size);
    r->journal_size = live.size;
}

/* ---- steps ---- */

static void take_reply(run *r, const effect_reply *reply)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        client *k = &r->clients[i];
        if (k->id != reply->session.v || reply->number.v == 0 || reply->number.v >= CLIENT_REQUESTS || reply->link == 0)
            continue;
        k->answered[reply->number.v] = true;
        while (k->acked + 1 < CLIENT_REQUESTS && k->answered[k->acked + 1])
            k->acked++;
        if (reply->number.v == k->number)
            k->last_status = reply->status;
    }
}

static void take_effects(run *r)
{
    for (uint32_t i = 0; i < r->effects.count; i++) {
        const core_effect *x = &r->effects.items[i];
        if (x->kind == EFFECT_RECORD)
            r->journal_size += record_encode(&x->record, r->journal + r->journal_size, JOURNAL - r->journal_size);
        if (x->kind == EFFECT_PUSH && x->push.kind == PUSH_ASK)
            r->asked = x->push.allocation.v;
        if (x->kind == EFFECT_NOTE)
            r->notes[x->note.kind]++, r->gated += x->note.kind == NOTE_CLAIMED && x->note.chunks == 0;
        if (x->kind == EFFECT_REPLY)
            take_reply(r, &x->reply);
        if (x->kind == EFFECT_ORDER)
            agent_order(&r->agents[x->order.host.v], &x->order);
    }
    for (unsigned i = 0; i < HOSTS; i++)
        if (r->agents[i].why)
            player_wrong(r, "agent", r->agents[i].why);
}

void player_judge(run *r, const core_event *e)
{
    char why[512] = "";
    take_effects(r);
    if (core_check(r->core, why, sizeof why) < 0)
        player_wrong(r, "core_check", why);
    model_step(&r->model, r->core, e, &r->effects);
    model_compare(&r->model, r->core, core_next_deadline(r->core) > r->now);
    if (r->model.why[0])
        player_wrong(r, "model", r->model.why);
    if (r->step % 16 == 0)
        player_prove_replay(r);
}

void player_step(run *r, const core_event *e)
{
    if (core_step(r->core, r->now, e, &r->effects) < 0)
        player_wrong(r, "core_step", "it refused the event");
    player_judge(r, e);
    const core_event tick = {.kind = EVENT_TICK};
    for (unsigned round = 0; core_next_deadline(r->core) <= r->now; round++) {
        if (round == 200)
            player_wrong(r, "core_next_deadline", "a tick does not settle what is due");
        if (core_step(r->core, r->now, &tick, &r->effects) < 0)
            player_wrong(r, "core_step", "it refused a tick");
        player_judge(r, &tick);
    }
}

void player_restart(run *r)
{
    player_prove_replay(r);
    r->core = core_make(r, r->arena);
    load(r, r->core);
    if (core_recover(r->core, r->now, true, &r->effects) < 0)
        player_wrong(r, "core_recover", "it failed");
    for (unsigned i = 0; i < HOSTS; i++)
        if (r->agents[i].connected)
            agent_gone(&r->agents[i], false);
    for (unsigned i = 0; i < CLIENTS; i++)
        r->clients[i].attached = false;
    r->last.kind = 0;
    model_restart(&r->model);
    player_judge(r, &(core_event){.kind = EVENT_TICK});
    for (int i = HOSTS + 1; i >= 0; i--) /* the defaults first */
        if (r->settings[i].name[0])
            player_step(r, &(core_event){.kind = EVENT_CONFIG_HOST, .config_host = r->settings[i]});
    for (unsigned i = 0; i < USERS; i++)
        if (r->user_settings[i].user.v)
            player_step(r, &(core_event){.kind = EVENT_CONFIG_USER, .config_user = r->user_settings[i]});
}

core_event player_hello(run *r, unsigned host)
{
    bytes_t memory = r->agents[host].boots % 2 ? GIB(1) : GIB(4) << (host % 3); /* a machine may come back smaller */
    core_event e = agent_hello(&r->agents[host], host_names[host], memory, r->groups);
    e.hello.limited = host > 0; /* one in watch mode */
    return e;
}

/* Every third run has a table that is too small. */
static core_limits limits_of(uint64_t seed)
{
    core_limits l = limits_most;
    uint32_t *small[] = {&l.recalls, &l.claims, &l.holdings, &l.allocations};
    static const uint32_t sizes[] = {3, 4, 8, 6};
    if (seed % 3 == 0)
        *small[seed / 3 % 4] = sizes[seed / 3 % 4];
    return l;
}

static void *need(void *p, size_t size)
{
    p = p ? p : aligned_alloc(64, (size + 63) / 64 * 64);
    if (!p)
        abort();
    return p;
}

static void start(run *r, uint64_t seed, const uint8_t *bytes, size_t size)
{
    run fresh = {
        .bytes = bytes, .bytes_left = size, .seed = seed, .state = seed * 0x9E3779B97F4A7C15u + 1, .now = 1000};
    size_t effects = EFFECTS_MAX * sizeof *r->effects.items;
    fresh.arena = need(r->arena, core_arena_size(&limits_most));
    fresh.arena_replay = need(r->arena_replay, core_arena_size(&limits_most));
    fresh.journal = need(r->journal, JOURNAL);
    fresh.effects = (core_effects){.items = need(r->effects.items, effects), .capacity = EFFECTS_MAX};
    memcpy(fresh.notes, r->notes, sizeof fresh.notes);
    fresh.gated = r->gated;
    fresh.limits = limits_of(seed);
    *r = fresh;
    model_start(&r->model,
                r->limits.holdings != limits_most.holdings || r->limits.allocations != limits_most.allocations);
    r->core = core_make(r, r->arena);
    if (core_recover(r->core, r->now, false, &r->effects) < 0)
        player_wrong(r, "core_recover", "it failed");
    for (unsigned i = 0; i < HOSTS; i++) { /* in the order of their numbers */
        core_event e = player_hello(r, i);
        player_step(r, &e);
    }
}

void player_start(run *r, uint64_t seed)
{
    start(r, seed, NULL, 0);
}

void player_start_with(run *r, const uint8_t *bytes, size_t size)
{
    bool any = size > 0; /* the first one chooses the limits, as a seed does */
    start(r, any ? bytes[0] : 0, bytes + any, size - any);
}
