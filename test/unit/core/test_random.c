/*
 * test_random.c - a long seeded walk: five hosts, agents that answer late or refuse, sessions that break, clients that
 * confirm too early, hosts that reboot, brokers that restart; in every other walk settings that are changed.
 *
 * After every step core_check() runs; a judge of its own counts what the agents really have and compares it with what
 * the core sold; now and then the journal is replayed and compared byte for byte.
 */
#include <stdio.h>

#include "walk.h"

/* The owner's settings change; a section that vanished is one of nothing but a name. */
static void reload(sim *s)
{
    core_event e = {.kind = EVENT_CONFIG_USER};
    if (walk_below(s, 3) == 0) {
        e.config_user.user.v = walk_below(s, 4) ? 1000 + walk_below(s, 3) : UINT32_MAX;
        e.config_user.weight = walk_below(s, 3);
        e.config_user.quota = walk_below(s, 2) ? MIB(64) * (1 + walk_below(s, 60)) : 0;
    } else {
        event_config_host *h = &e.config_host;
        uint32_t which = walk_below(s, HOSTS + 2); /* one never comes */
        e.kind = EVENT_CONFIG_HOST;
        memset(h, 0, sizeof(*h));
        snprintf(h->name, sizeof(h->name), which ? "host%u" : "*", which - 1);
        h->total = walk_below(s, 3) ? 0 : MIB(512) * (1 + walk_below(s, 8));
        h->set_aside = walk_below(s, 3) ? 0 : MIB(64) * walk_below(s, 40);
        h->home = walk_below(s, 4) == 0;
        snprintf(h->labels, sizeof(h->labels), "%s", walk_below(s, 2) ? "gpu" : "");
    }
    walk_step(s, &e);
}

static void restart(sim *s)
{
    world_restart(&s->w, walk_below(s, 4) != 0);
    s->n_restarts++;
    for (int i = 0; i < HOSTS; i++) {
        s->m[i].connected = false;
        s->m[i].n_orders = 0;
    }
    for (int i = 0; i < SESSIONS; i++)
        s->attached[i] = false;
}

static void one(sim *s)
{
    uint32_t what = walk_below(s, 1000), i = walk_below(s, SESSIONS);
    machine *m = &s->m[walk_below(s, HOSTS)];
    if (what < 400) {
        if (!s->sessions[i].v)
            client_opens(s, i);
        else if (s->attached[i])
            client_asks(s, i);
        else if (walk_below(s, 8) == 0)
            client_event(s, i, EVENT_SESSION_REATTACH);
    } else if (what < 650) {
        machine_obeys(s, m);
    } else if (what < 850) {
        machine_task_ends(s, m);
    } else if (what < 853 && s->reloads) {
        reload(s);
    } else if (what < 960) {
        world_tick(&s->w, walk_below(s, 10) ? walk_below(s, 100) : walk_below(s, 15000));
        walk_absorb(s);
    } else if (what < 975) {
        m->foreign = walk_below(s, 3) ? 0 : MIB(64) * walk_below(s, 40);
        core_event e = {.kind = EVENT_HOST_SAMPLE, .sample = {m->id, m->foreign, 0}};
        if (m->connected)
            walk_step(s, &e);
    } else if (what < 990) {
        if (!m->connected) {
            machine_hello(s, m, walk_below(s, 4) == 0);
        } else if (walk_below(s, 6) == 0) {
            core_event e = {.kind = EVENT_HOST_GONE, .gone = m->id};
            m->connected = false;
            m->n_orders = 0;
            walk_step(s, &e);
        }
    } else if (what < 998) {
        if (s->sessions[i].v && walk_below(s, 2))
            client_event(s, i, walk_below(s, 2) ? EVENT_SESSION_BROKEN : EVENT_SESSION_END);
    } else if (walk_below(s, 4) == 0) {
        restart(s);
    } else {
        world_replay(&s->w);
    }
}

/* Over all walks: what a walk that does nothing would not reach. */
static uint32_t sums[6], limits_seen;

static void walk(uint64_t seed, uint32_t steps, const core_limits *tiny)
{
    sim *s = calloc(1, sizeof(sim));
    assert_non_null(s);
    if (tiny)
        world_open_with(&s->w, *tiny);
    else
        world_open(&s->w);
    s->tiny = tiny != NULL;
    s->reloads = seed % 2 == 0;
    s->seed = seed * 0x9e3779b97f4a7c15u + 1;
    for (int i = 0; i < HOSTS; i++) {
        s->m[i].total = GIB(2) + MIB(512) * (unsigned)i;
        machine_hello(s, &s->m[i], true);
    }
    for (uint32_t i = 0; i < steps; i++) {
        one(s);
        if (i % 8 == 0)
            machine_judge(s);
    }
    world_replay(&s->w);
    print_message("seed %ju: %u steps, %u grants, %u recalls, %u revoked, %u drained, %u restarts, %u limits\n",
                  (uintmax_t)seed, steps, s->grants, s->recalls, s->revoked, s->drained, s->n_restarts, s->limits);
    /* Everybody leaves; the machines carry out and drain: the books must be empty. */
    for (int i = 0; i < HOSTS; i++)
        if (!s->m[i].connected)
            machine_hello(s, &s->m[i], false);
    for (uint32_t i = 0; i < SESSIONS; i++)
        if (s->sessions[i].v)
            client_event(s, i, EVENT_SESSION_END);
    for (int round = 0; round < 4000; round++) {
        for (int i = 0; i < HOSTS; i++) {
            machine_obeys(s, &s->m[i]);
            machine_task_ends(s, &s->m[i]);
        }
        world_tick(&s->w, 100);
        walk_absorb(s);
    }
    totals_view t;
    view_totals(s->w.core, &t);
    assert_int_equal(t.claims, 0);
    assert_int_equal(t.allocations, 0);
    assert_int_equal(t.recalls, 0);
    for (int i = 0; i < HOSTS; i++) {
        host_view v = world_view(&s->w, s->m[i].id);
        assert_int_equal(v.granted + v.returning + v.held + v.quarantine, 0);
        assert_int_equal(s->m[i].n_groups, 0);
    }
    world_replay(&s->w);
    world_close(&s->w);
    uint32_t seen[] = {s->grants, s->recalls, s->revoked, s->drained, s->n_restarts, s->gated};
    for (int i = 0; i < 6; i++)
        sums[i] += tiny ? 0 : seen[i];
    limits_seen += s->limits;
    free(s);
}

static void test_walks(void **state)
{
    (void)state;
    const char *only = getenv("GRANARY_TEST_SEED");
    uint64_t first = only ? strtoull(only, NULL, 10) : 1, last = only ? first : 4;
    for (uint64_t seed = first; seed <= last; seed++)
        walk(seed, 10000, NULL);
    if (!only)
        for (int i = 0; i < 6; i++)
            assert_true(sums[i] > 5);
}

/* Every table is too small, one after the other and all at once. */
static void test_tiny_tables(void **state)
{
    (void)state;
    for (uint32_t which = 0; which <= 8; which++) {
        core_limits l = {.hosts = HOSTS,
                         .users = 8,
                         .sessions = 32,
                         .allocations = 64,
                         .holdings = 256,
                         .claims = 256,
                         .recalls = 64,
                         .answers = 512};
        uint32_t *fields[] = {&l.users, &l.sessions, &l.allocations, &l.holdings, &l.claims, &l.recalls, &l.answers};
        static const uint32_t least[] = {2, 3, 4, 4, 3, 2, 3};
        for (uint32_t i = 0; i < 7; i++)
            if (which == i || which == 7)
                *fields[i] = least[i];
            else if (which == 8)
                *fields[i] = 1;
        for (uint64_t seed = 1; seed <= 2; seed++) {
            limits_seen = 0;
            walk(100 * which + seed, 3000, &l);
        }
        print_message("table %u: %u limits\n", which, limits_seen);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_walks), cmocka_unit_test(test_tiny_tables)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
