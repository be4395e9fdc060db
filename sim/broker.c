/*
 * broker.c - the broker's process: its lives, its turns and what befalls it.
 *
 * What daemon/broker.c does with a loop is done here with jobs of the clock. The disk (store/memory.c) outlives the
 * process; a loss of power takes its unsynced tail and gives the machine another boot, whose clock begins anew.
 */
#include "broker.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "broker_node.h"
#include "faults.h"
#include "judge.h"
#include "store/memory.h"

#define COLLECT       US_OF_MS(5000) /* between two comparisons of books and reality */
#define RESTART_MOST  US_OF_MS(2000) /* the supervisor starts it again within */
#define USELESS_TURNS 32u            /* a crash waits so many turns for one that changes something */
#define COMPACT_ODDS  2500u          /* of a commit, per million: the journal is made a snapshot */
#define SNAPSHOT_PART ((size_t)4096) /* one blob of a snapshot: several even in a small run */
#define REPLAY_EVERY  512u           /* commits */

static void start(void *context, uint64_t argument);

/* ---- the core's sink ---- */

static void on_reply(void *userdata, const effect_reply *reply)
{
    tell_records(userdata);
    reply_send(userdata, reply);
}

static void on_push(void *userdata, const effect_push *push)
{
    tell_records(userdata);
    push_send(userdata, push);
}

static void on_order(void *userdata, const effect_order *order)
{
    tell_records(userdata);
    agent_order(userdata, order);
}

static void on_note(void *userdata, const effect_note *note)
{
    tell_note(userdata, note);
}

static void on_session_over(void *userdata, session_id session)
{
    watch_stop(userdata, session);
}

/* ---- the end of a life ---- */

/* The process is gone, with all that was not committed. */
static void life_end(broker_node *b, bool polite)
{
    b->up = false;
    clock_cancel(b->sim->clock, &b->turn);
    clock_cancel(b->sim->clock, &b->tick);
    clock_cancel(b->sim->clock, &b->watch);
    clock_cancel(b->sim->clock, &b->collect);
    letters_drop(b);
    peers_close(b, polite);
    driver_finish(&b->driver);
    b->links = 0;
    b->n_watched = b->n_preferred = 0;
    b->judged = 0;
    b->crash = 0;
}

static void die(broker_node *b, const char *how, us_t down)
{
    sim_say(b->sim, "broker", "%s; it comes back in %llu ms", how, (unsigned long long)(down / 1000));
    life_end(b, true);
    b->start = clock_at(b->sim->clock, clock_now(b->sim->clock) + down, start, b, 0);
}

static void store_failed(broker_node *b)
{
    die(b, "the journal cannot be written: the broker ends", rng_between(&b->dice, 1000, RESTART_MOST));
}

/* ---- turns ---- */

void broker_step(broker_node *b, const core_event *event)
{
    if (driver_step(&b->driver, event) < 0)
        sim_wrong(b->sim, "a step of the core failed (event %d)", (int)event->kind);
    b->steps++;
    tell_step(b, event);
}

static void on_turn(void *context, uint64_t argument);

void broker_enter(broker_node *b)
{
    clock_enter(b->sim->clock, &b->time);
    if (!b->turn)
        b->turn = clock_at(b->sim->clock, clock_now(b->sim->clock) + TURN, on_turn, b, 0);
}

static void on_tick(void *context, uint64_t argument)
{
    (void)argument;
    broker_node *b = context;
    b->tick = 0;
    broker_enter(b);
    broker_step(b, &(core_event){.kind = EVENT_TICK});
}

static void tick_arm(broker_node *b)
{
    us_t when = clock_when(b->sim->clock, &b->time, core_next_deadline(b->driver.core));
    clock_cancel(b->sim->clock, &b->tick);
    if (when != US_NEVER)
        b->tick = clock_at(b->sim->clock, when, on_tick, b, 0);
}

typedef struct {
    store *store;
    uint8_t part[SNAPSHOT_PART];
    size_t used;
} snapshot;

static int snapshot_record(void *userdata, const core_record *record)
{
    snapshot *s = userdata;
    int r = 0;
    if (sizeof s->part - s->used < RECORD_BYTES_MAX) {
        r = store_snapshot_put(s->store, s->part, s->used);
        s->used = 0;
    }
    s->used += record_encode(record, s->part + s->used, sizeof s->part - s->used);
    return r;
}

/* As the driver does when the journal has grown to megabytes, which no run here lives to see. */
static int compact(broker_node *b)
{
    snapshot s = {.store = b->store};
    b->compactions++;
    sim_say(b->sim, "broker", "the journal becomes a snapshot");
    int r = store_snapshot_begin(b->store);
    if (r == 0)
        r = core_export(b->driver.core, snapshot_record, &s);
    if (r == 0)
        r = store_snapshot_put(b->store, s.part, s.used);
    return r == 0 ? store_snapshot_end(b->store) : r;
}

static int commit(broker_node *b)
{
    bool dirty = driver_dirty(&b->driver);
    int r = driver_commit(&b->driver);
    if (r < 0 || !dirty)
        return r;
    b->judged = 0;
    b->commits++;
    judge_committed(b->sim->judges);
    return rng_chance(&b->dice, COMPACT_ODDS) ? compact(b) : 0;
}

/* Whether a crash that is planned for the middle of a turn fits this one. */
static bool crash_fits(broker_node *b, crash_when when)
{
    if (b->crash != when)
        return false;
    bool useful = when == CRASH_BEFORE_COMMIT ? driver_dirty(&b->driver) : b->n_letters > 0;
    return useful || ++b->crash_waits >= USELESS_TURNS;
}

static bool by_chance(broker_node *b)
{
    return rng_chance(&b->dice, 500000);
}

/* Commit, send, and the same for what the ends of connections lead to. False: the process has died. */
static bool turn_end(broker_node *b)
{
    do {
        if (crash_fits(b, CRASH_BEFORE_COMMIT)) {
            die(b, "the broker is killed before its commit", b->crash_down);
            return false;
        }
        bool after = crash_fits(b, CRASH_AFTER_COMMIT);
        if (commit(b) < 0) {
            store_failed(b);
            return false;
        }
        letters_send(b, after ? by_chance : NULL);
        if (after) {
            die(b, "the broker is killed after its commit, while it sends", b->crash_down);
            return false;
        }
    } while (peers_reap(b));
    return true;
}

static void on_turn(void *context, uint64_t argument)
{
    (void)argument;
    broker_node *b = context;
    char why[256];
    b->turn = 0;
    clock_enter(b->sim->clock, &b->time);
    uint64_t commits = b->commits;
    if (!turn_end(b))
        return;
    tick_arm(b);
    if (b->options.check && commits / REPLAY_EVERY != b->commits / REPLAY_EVERY) {
        b->replays++;
        if (!broker_replays(b, why, sizeof why))
            sim_wrong(b->sim, "%s", why);
    }
    if (b->crash == CRASH_BETWEEN_TURNS)
        die(b, "the broker is killed", b->crash_down);
}

static void on_collect(void *context, uint64_t argument)
{
    (void)argument;
    broker_node *b = context;
    b->collect = clock_at(b->sim->clock, clock_now(b->sim->clock) + COLLECT, on_collect, b, 0);
    broker_enter(b);
    peers_collect(b);
    watch_look(b);
    agents_collect(b);
}

/* ---- the beginning of a life ---- */

/* As granary.conf would have it: the defaults, then every machine, so that ids are known. */
static void config_make(broker_node *b)
{
    if (b->n_config > 0)
        return;
    assert(b->sim->n_hosts > 0);
    core_event e = {.kind = EVENT_CONFIG_HOST, .config_host = {.name = "*", .set_aside = UINT64_MAX}};
    b->config = sim_alloc((b->sim->n_hosts + 1) * sizeof *b->config);
    b->config[b->n_config++] = e;
    for (uint32_t i = 0; i < b->sim->n_hosts; i++) {
        snprintf(e.config_host.name, sizeof e.config_host.name, "%s", machine_name(b->sim->machines[i]));
        b->config[b->n_config++] = e;
    }
}

static bool same_section(const core_event *a, const core_event *b)
{
    if (a->kind != b->kind)
        return false;
    return a->kind == EVENT_CONFIG_HOST ? strcmp(a->config_host.name, b->config_host.name) == 0
                                        : a->config_user.user.v == b->config_user.user.v;
}

static void config_put(broker_node *b, const core_event *section)
{
    for (uint32_t i = 0; i < b->n_config; i++)
        if (same_section(&b->config[i], section)) {
            b->config[i] = *section;
            return;
        }
    b->config = sim_grow(b->config, (b->n_config + 1) * sizeof *b->config);
    b->config[b->n_config++] = *section;
}

static void config_apply(broker_node *b)
{
    for (uint32_t i = 0; i < b->n_config; i++)
        broker_step(b, &b->config[i]);
}

/* Who died while there was no broker, and who is to be watched. */
static void sessions_look(broker_node *b, const recovered *found)
{
    for (uint32_t i = 0; i < found->n_sessions; i++) {
        const recovered_session *s = &found->sessions[i];
        process_fate fate = process_look(b, s->pid, NULL);
        if (fate == PROCESS_ALIVE)
            watch_start(b, s->session, s->pid);
        else if (fate == PROCESS_DEAD)
            broker_step(b, &(core_event){.kind = EVENT_SESSION_END, .session = {.session = s->session}});
    }
}

static bool recover(broker_node *b, recovered *ret)
{
    char why[256];
    driver_sink sink = {.reply = on_reply,
                        .push = on_push,
                        .order = on_order,
                        .note = on_note,
                        .session_over = on_session_over,
                        .userdata = b};
    int r = driver_init(&b->driver, &b->options.limits, &b->options.timers, b->store, &sink);
    if (r < 0) {
        sim_wrong(b->sim, "the tables of the broker cannot be made: %s", status_name(r));
        return false;
    }
    b->recovering = true;
    r = recovery_run(&b->driver, b->boot_id, ret, why, sizeof why);
    b->recovering = false;
    if (r < 0) {
        sim_wrong(b->sim, "the broker cannot recover: %s", why);
        driver_finish(&b->driver);
        return false;
    }
    return true;
}

static void start(void *context, uint64_t argument)
{
    (void)argument;
    broker_node *b = context;
    recovered found = {0};
    b->start = 0;
    config_make(b);
    broker_enter(b);
    store_memory_reopen(b->store, b->store->meta.boot_id);
    if (!recover(b, &found)) {
        clock_cancel(b->sim->clock, &b->turn);
        return;
    }
    snprintf(b->store->meta.boot_id, sizeof b->store->meta.boot_id, "%s", b->boot_id);
    b->up = true;
    b->life++;
    sim_say(b->sim, "broker", "life %u begins with %llu records and %u sessions", b->life,
            (unsigned long long)found.records, found.n_sessions);
    tell_restart(b);
    sessions_look(b, &found);
    free(found.sessions);
    config_apply(b);
    peers_listen(b);
    b->collect = clock_at(b->sim->clock, clock_now(b->sim->clock) + COLLECT, on_collect, b, 0);
}

static void boot(broker_node *b)
{
    b->boot++;
    snprintf(b->boot_id, sizeof b->boot_id, "broker-boot-%u", b->boot);
    b->time.ahead = 0 - clock_now(b->sim->clock); /* it shows the same as at the start of the run */
}

broker_node *broker_create(sim *s, const broker_options *o)
{
    broker_node *b = sim_alloc(sizeof *b);
    *b = (broker_node){.sim = s, .options = *o, .dice = rng_named(s->plan.seed, "broker", 0)};
    char id[33];
    snprintf(id, sizeof id, "%016llx%016llx", (unsigned long long)rng_next(&b->dice),
             (unsigned long long)rng_next(&b->dice));
    if (store_memory_open(&b->store, id) < 0) {
        fprintf(stderr, "granary-sim: no memory left\n");
        exit(1);
    }
    boot(b);
    b->start = clock_at(s->clock, clock_now(s->clock), start, b, 0); /* when everybody else is made */
    return b;
}

void broker_destroy(broker_node *b)
{
    if (!b)
        return;
    if (b->up)
        life_end(b, true);
    clock_cancel(b->sim->clock, &b->start);
    clock_cancel(b->sim->clock, &b->fall);
    store_close(b->store);
    free(b->config);
    free(b->letters);
    free(b->watched);
    free(b->early);
    free(b);
}

/* ---- to look at ---- */

const core *broker_core(const broker_node *b)
{
    return b->up ? b->driver.core : NULL;
}

ms_t broker_now(const broker_node *b)
{
    return clock_ms(b->sim->clock, &b->time);
}

machine_clock *broker_time(broker_node *b)
{
    return &b->time;
}

uint64_t broker_steps(const broker_node *b)
{
    return b->steps;
}

/* ---- faults ---- */

/* Between two jobs, so that a fault may be asked for from anywhere, also in the middle of a step. */
static void fall(void *context, uint64_t argument)
{
    (void)argument;
    broker_node *b = context;
    us_t now = clock_now(b->sim->clock);
    b->fall = 0;
    if (!b->power_fails) {
        if (b->up && !b->turn)
            die(b, "the broker is killed", b->crash_down);
        return; /* else at the end of the turn */
    }
    b->power_fails = false;
    bool torn = !b->options.power && rng_chance(&b->dice, 500000);
    uint64_t lost = b->options.power ? 0 : store_memory_lose(b->store, b->lose + (torn ? 1u : 0u));
    sim_say(b->sim, "broker", "its machine loses power: %llu commits are lost%s; it comes back in %llu ms",
            (unsigned long long)lost, torn ? ", one of them torn" : "", (unsigned long long)(b->crash_down / 1000));
    if (b->up)
        life_end(b, false);
    judge_lost_tail(b->sim->judges, lost);
    boot(b);
    clock_cancel(b->sim->clock, &b->start);
    b->start = clock_at(b->sim->clock, now + b->crash_down, start, b, 0);
}

void broker_crash(broker_node *b, crash_when when, us_t down)
{
    if (!b->up || b->crash || b->power_fails)
        return;
    b->crash = when;
    b->crash_down = down;
    b->crash_waits = 0;
    if (when == CRASH_BETWEEN_TURNS && !b->fall)
        b->fall = clock_at(b->sim->clock, clock_now(b->sim->clock), fall, b, 0);
}

void broker_power_loss(broker_node *b, us_t down, uint32_t lost_commits)
{
    b->power_fails = true;
    b->crash_down = down;
    b->lose = lost_commits;
    if (!b->fall)
        b->fall = clock_at(b->sim->clock, clock_now(b->sim->clock), fall, b, 0);
}

void broker_fail_commit(broker_node *b)
{
    if (b->up)
        store_memory_fail_after(b->store, 0);
}

/* The sections are stepped in a job of their own: whoever changes the file is in no turn of the broker. */
static void reload(void *context, uint64_t argument)
{
    (void)argument;
    broker_node *b = context;
    if (!b->up)
        return;
    sim_say(b->sim, "broker", "the configuration was read again");
    broker_enter(b);
    config_apply(b);
}

void broker_reload(broker_node *b, const core_event *config, uint32_t n)
{
    config_make(b);
    for (uint32_t i = 0; i < n; i++) {
        assert(config[i].kind == EVENT_CONFIG_HOST || config[i].kind == EVENT_CONFIG_USER);
        config_put(b, &config[i]);
    }
    clock_at(b->sim->clock, clock_now(b->sim->clock), reload, b, 0);
}
