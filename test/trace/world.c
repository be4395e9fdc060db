/* world.c - see world.h. */
#include "world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "show.h"

#define TAIL_LINES 60  /* of the transcript, shown when a check fails */
#define ROUNDS_MAX 200 /* ticks that are due at once: more means that the core never settles */

static void die(const world *w, const char *what, const char *why)
{
    fflush(w->out);
    const char *tail = *w->transcript + strlen(*w->transcript);
    for (unsigned lines = 0; tail > *w->transcript && lines < TAIL_LINES; lines += *tail == '\n')
        tail--;
    fputs(tail, stderr);
    fprintf(stderr, "at %" PRIu64 "ms: %s: %s\n", w->now, what, why);
    exit(3);
}

static void *allocate(size_t size)
{
    void *p = aligned_alloc(64, (size + 63) / 64 * 64);
    if (!p)
        abort();
    return p;
}

void world_init(world *w, FILE *out, char **transcript)
{
    *w = (world){.limits = {.hosts = 32,
                            .users = 16,
                            .sessions = 32,
                            .allocations = 64,
                            .holdings = 256,
                            .claims = 128,
                            .recalls = 64,
                            .answers = 512},
                 .timers = core_timers_default,
                 .now = 1000,
                 .out = out,
                 .transcript = transcript};
    w->effects.capacity = EFFECTS_MAX;
    w->effects.items = allocate(EFFECTS_MAX * sizeof *w->effects.items);
}

void world_finish(world *w)
{
    free(w->effects.items);
    free(w->arena);
    free(w->arena_replay);
    free(w->journal);
}

static core *core_make(world *w, void *arena, size_t size)
{
    core *c = NULL;
    int r = core_init(&c, &w->limits, &w->timers, arena, size);
    if (r < 0)
        die(w, "core_init", status_name(r));
    return c;
}

void world_start(world *w)
{
    size_t size = core_arena_size(&w->limits);
    if (size == 0)
        die(w, "core_arena_size", "0");
    w->arena = allocate(size);
    w->arena_replay = allocate(size);
    w->core = core_make(w, w->arena, size);
    int r = core_recover(w->core, w->now, false, &w->effects);
    if (r < 0)
        die(w, "core_recover", status_name(r));
}

/* ---- the journal and its proof ---- */

static void journal_add(world *w, const core_record *record)
{
    if (w->journal_capacity - w->journal_size < RECORD_BYTES_MAX) {
        w->journal_capacity = w->journal_capacity * 2 + 64 * RECORD_BYTES_MAX;
        w->journal = realloc(w->journal, w->journal_capacity);
        if (!w->journal)
            abort();
    }
    size_t n = record_encode(record, w->journal + w->journal_size, w->journal_capacity - w->journal_size);
    if (n == 0 || n > RECORD_BYTES_MAX)
        die(w, "record_encode", "it does not fit RECORD_BYTES_MAX");
    w->journal_size += n;
}

static void journal_load(world *w, core *c)
{
    for (size_t at = 0, used; at < w->journal_size; at += used) {
        core_record record;
        int r = record_decode(w->journal + at, w->journal_size - at, &record, &used);
        if (r < 0)
            die(w, "record_decode", status_name(r));
        r = core_load(c, &record);
        if (r < 0) {
            show_record(w, &record);
            die(w, "core_load", status_name(r));
        }
    }
}

typedef struct {
    uint8_t *data;
    size_t size, capacity;
    world *w; /* set: print each record, too */
} export;

static int export_put(void *userdata, const core_record *record)
{
    export *e = userdata;
    if (e->w)
        show_record(e->w, record);
    if (e->capacity - e->size < RECORD_BYTES_MAX) {
        e->capacity = e->capacity * 2 + 64 * RECORD_BYTES_MAX;
        e->data = realloc(e->data, e->capacity);
        if (!e->data)
            abort();
    }
    e->size += record_encode(record, e->data + e->size, e->capacity - e->size);
    return 0;
}

static void prove_replay(world *w)
{
    export live = {0}, replayed = {0};
    core *second = core_make(w, w->arena_replay, core_arena_size(&w->limits));
    journal_load(w, second);
    core_export(w->core, export_put, &live);
    core_export(second, export_put, &replayed);
    if (live.size != replayed.size || (live.size && memcmp(live.data, replayed.data, live.size) != 0)) {
        export again = {.w = w};
        fputs("  -- live books:\n", w->out);
        core_export(w->core, export_put, &again);
        fputs("  -- replayed:\n", w->out);
        core_export(second, export_put, &again);
        free(again.data);
        die(w, "I7", "the replayed journal gives other books");
    }
    free(live.data);
    free(replayed.data);
}

/* ---- steps ---- */

static void keep_tag(world *w, const effect_order *order)
{
    for (unsigned i = 0; i < w->n_tags; i++)
        if (w->tags[i].gen == order->gen.v) {
            w->tags[i].tag = order->tag;
            return;
        }
    w->tags[w->n_tags].gen = order->gen.v;
    w->tags[w->n_tags++].tag = order->tag;
}

uint64_t world_tag(const world *w, uint64_t gen)
{
    for (unsigned i = 0; i < w->n_tags; i++)
        if (w->tags[i].gen == gen)
            return w->tags[i].tag;
    return 0;
}

static void judge(world *w)
{
    char why[512] = "";
    for (uint32_t i = 0; i < w->effects.count; i++) {
        const core_effect *e = &w->effects.items[i];
        if (e->kind == EFFECT_RECORD)
            journal_add(w, &e->record);
        else if (e->kind == EFFECT_ORDER)
            keep_tag(w, &e->order);
    }
    if (core_check(w->core, why, sizeof why) < 0)
        die(w, "core_check", why);
    prove_replay(w);
}

static void show_all(world *w)
{
    for (uint32_t i = 0; i < w->effects.count; i++)
        if (w->effects.items[i].kind != EFFECT_RECORD || w->show_records)
            show_effect(w, &w->effects.items[i]);
}

static void step_once(world *w, const core_event *event)
{
    int r = core_step(w->core, w->now, event, &w->effects);
    if (r < 0)
        die(w, "core_step", status_name(r));
}

static void settle(world *w)
{
    for (unsigned round = 0; core_next_deadline(w->core) <= w->now; round++) {
        if (round == ROUNDS_MAX)
            die(w, "core_next_deadline", "a tick does not settle what is due");
        step_once(w, &(core_event){.kind = EVENT_TICK});
        judge(w);
        show_all(w);
    }
}

/* The request that is being made names its allocation or session; the reply tells its number. */
static void bind_reply(world *w)
{
    for (uint32_t i = 0; i < w->effects.count; i++) {
        const core_effect *e = &w->effects.items[i];
        if (e->kind == EFFECT_REPLY && w->bind_allocation && e->reply.allocation.v)
            w->bind_allocation->id = e->reply.allocation.v;
        if (e->kind == EFFECT_REPLY && w->bind_session && e->reply.session.v)
            w->bind_session->id = e->reply.session.v;
    }
    w->bind_allocation = w->bind_session = NULL;
}

void world_step(world *w, const core_event *event)
{
    step_once(w, event);
    bind_reply(w);
    judge(w);
    show_all(w);
    settle(w);
}

void world_pass(world *w, ms_t span)
{
    ms_t until = w->now + span;
    for (ms_t next; (next = core_next_deadline(w->core)) <= until;) {
        if (next > w->now)
            w->now = next;
        char at[32];
        fprintf(w->out, "  at %s\n", show_span(w->now - 1000, at, sizeof at));
        settle(w);
    }
    w->now = until;
}

void world_restart(world *w, bool reboot)
{
    w->core = core_make(w, w->arena, core_arena_size(&w->limits));
    journal_load(w, w->core);
    if (reboot)
        w->now = 1000; /* a new boot, a new clock */
    int r = core_recover(w->core, w->now, !reboot, &w->effects);
    if (r < 0)
        die(w, "core_recover", status_name(r));
    for (unsigned i = 0; i < w->n_sessions; i++)
        w->sessions[i].link = 0;
    judge(w);
    show_all(w);
    settle(w);
}

/* ---- names ---- */

const char *world_session_name(const world *w, session_id id)
{
    for (unsigned i = 0; i < w->n_sessions; i++)
        if (w->sessions[i].session_name.id == id.v)
            return w->sessions[i].session_name.name;
    return id.v ? "?" : "-";
}

const char *world_allocation_name(const world *w, allocation_id id)
{
    for (unsigned i = 0; i < w->n_allocations; i++)
        if (w->allocations[i].allocation_name.id == id.v)
            return w->allocations[i].allocation_name.name;
    return id.v ? "?" : "-";
}

const char *world_host_name(const world *w, host_id id)
{
    host_view host;
    return view_host_by_id(w->core, id, &host) == 0 ? host.name : "?";
}

trace_session *world_session(world *w, const char *session)
{
    for (unsigned i = 0; i < w->n_sessions; i++)
        if (strcmp(w->sessions[i].session_name.name, session) == 0)
            return &w->sessions[i];
    return NULL;
}

trace_session *world_session_by_id(world *w, uint64_t id)
{
    for (unsigned i = 0; i < w->n_sessions; i++)
        if (w->sessions[i].session_name.id == id)
            return &w->sessions[i];
    return NULL;
}

trace_allocation *world_allocation(world *w, const char *allocation)
{
    for (unsigned i = 0; i < w->n_allocations; i++)
        if (strcmp(w->allocations[i].allocation_name.name, allocation) == 0)
            return &w->allocations[i];
    return NULL;
}

void world_bind_session(world *w, const char *as, const event_session *e)
{
    if (w->n_sessions == NAMES_MAX)
        die(w, as, "too many sessions");
    trace_session *s = &w->sessions[w->n_sessions++];
    *s = (trace_session){.link = e->link, .user = e->user, .operator_ = e->operator_};
    memcpy(s->token, e->token, sizeof s->token);
    snprintf(s->session_name.name, sizeof s->session_name.name, "%s", as);
    w->bind_session = &s->session_name;
}

void world_bind_allocation(world *w, const char *as, uint64_t owner)
{
    if (w->n_allocations == NAMES_MAX)
        die(w, as, "too many allocations");
    trace_allocation *a = &w->allocations[w->n_allocations++];
    *a = (trace_allocation){.owner = owner};
    snprintf(a->allocation_name.name, sizeof a->allocation_name.name, "%s", as);
    w->bind_allocation = &a->allocation_name;
}
