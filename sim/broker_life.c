/*
 * broker_life.c - from the disk to a broker that listens, and its end (daemon/broker.c, settings.c).
 *
 * The disk (store/memory.c) outlives the process. The machine's clock begins anew with each of its boots.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "broker_node.h"
#include "store/memory.h"

#define COLLECT US_OF_MS(5000) /* between two comparisons of books and reality */

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

/* ---- configuration ---- */

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

/* ---- the beginning ---- */

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

void broker_start_in(broker_node *b, us_t wait)
{
    clock_cancel(b->sim->clock, &b->start);
    b->start = clock_at(b->sim->clock, clock_now(b->sim->clock) + wait, start, b, 0);
}

void broker_boot(broker_node *b)
{
    b->boot++;
    snprintf(b->boot_id, sizeof b->boot_id, "broker-boot-%u", b->boot);
    b->time.ahead = 0 - clock_now(b->sim->clock); /* it shows the same as at the start of the run */
}

/* ---- the end ---- */

void broker_end(broker_node *b, bool polite)
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

void broker_die(broker_node *b, const char *how, us_t down)
{
    sim_say(b->sim, "broker", "%s; it comes back in %llu ms", how, (unsigned long long)(down / 1000));
    broker_end(b, true);
    broker_start_in(b, down);
}
