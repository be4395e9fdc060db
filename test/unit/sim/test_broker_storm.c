/* The broker node through random requests and faults: the core's check after each step, the journal's replay, I9. */
#include "script.h"

#include <string.h>

#include "broker_node.h"

#define CLIENTS 3u
#define ROUNDS  400u
#define SEEDS   12u

typedef struct {
    script t;
    script_client clients[CLIENTS];
    rng dice;
} storm;

static allocation_id any_allocation(storm *w)
{
    const core *c = broker_core(w->t.sim.broker);
    allocation_view a = {0};
    allocation_id found = {0};
    uint64_t n = 0;
    for (uint32_t cursor = 0; c && view_allocation(c, &cursor, &a);)
        if (rng_below(&w->dice, ++n) == 0)
            found = a.id;
    return found;
}

static generation any_claim(storm *w)
{
    return (generation){w->t.agent.n_groups ? w->t.agent.groups[rng_below(&w->dice, w->t.agent.n_groups)] : 1};
}

static core_event any_request(storm *w)
{
    allocation_id id = any_allocation(w);
    uint32_t n = (uint32_t)rng_between(&w->dice, 1, 4);
    core_event e = {0};
    switch (rng_below(&w->dice, 9)) {
    case 0:
        return script_allocate(n, 0);
    case 1:
        return script_allocate(3 * n, TERM_GROWABLE | TERM_SHRINKABLE);
    case 2:
        return script_release(id, n);
    case 3:
        e = (core_event){.kind = EVENT_RELEASE_N, .release_n = {.id = id, .count = n}};
        return e;
    case 4:
        e = (core_event){.kind = EVENT_WANT, .want = {.id = id, .want = 2 * n}};
        return e;
    case 5:
        e = (core_event){.kind = EVENT_CLAIM, .claim = {.id = id, .chunks = 1, .handle = 5}};
        return e;
    case 6:
        e = (core_event){.kind = EVENT_CLOSE, .close = {.gen = any_claim(w), .kill = true}};
        return e;
    case 7:
        e = (core_event){.kind = EVENT_ENTER, .enter = {.gen = any_claim(w), .handle = 6}};
        return e;
    default:
        e = (core_event){.kind = EVENT_CANCEL, .cancel = {.id = id}};
        return e;
    }
}

static void fault(storm *w)
{
    broker_node *b = w->t.sim.broker;
    us_t down = US_OF_MS(rng_between(&w->dice, 1, 400));
    switch (rng_below(&w->dice, 8)) {
    case 0:
    case 1:
    case 2:
        broker_crash(b, (crash_when)rng_between(&w->dice, CRASH_BEFORE_COMMIT, CRASH_BETWEEN_TURNS), down);
        break;
    case 3:
        broker_power_loss(b, down, (uint32_t)rng_below(&w->dice, 5));
        break;
    case 4:
        broker_fail_commit(b);
        break;
    case 5:
        broker_time(b)->ahead += US_OF_MS(rng_below(&w->dice, 5000));
        break;
    case 6:
        if (w->t.agent.connection)
            net_break(w->t.agent.connection);
        break;
    default:
        broker_reload(b,
                      &(core_event){.kind = EVENT_CONFIG_HOST,
                                    .config_host = {.name = "a", .total = GIB(rng_between(&w->dice, 4, 16))}},
                      1);
    }
}

static void round_of(storm *w)
{
    script_client *c = &w->clients[rng_below(&w->dice, CLIENTS)];
    process_view p;
    if (c->connection && rng_chance(&w->dice, 20000)) {
        machine_kill(w->t.sim.machines[0], c->pid, "test");
        net_break(c->connection);
        script_run(&w->t, 5);
    }
    assert_true(machine_process(w->t.sim.machines[0], c->pid, &p));
    if (!c->connection && !p.alive) {
        char name[16];
        strcpy(name, c->name);
        script_client_finish(c);
        script_client_init(&w->t, c, name, 1000);
    }
    if (!c->connection && broker_core(w->t.sim.broker))
        script_try(&w->t, c);
    if (c->connection) {
        c->number.v += !rng_chance(&w->dice, 100000); /* now and then the last number again */
        script_send(c, any_request(w));
    }
    if (rng_chance(&w->dice, 60000))
        fault(w);
    script_run(&w->t, rng_chance(&w->dice, 900000) ? 1 : rng_below(&w->dice, 800));
}

static void play(uint64_t seed, uint64_t *hash)
{
    storm w = {.dice = rng_named(seed, "storm", 0)};
    script_open_seed(&w.t, rng_chance(&w.dice, 300000), seed);
    for (uint32_t i = 0; i < CLIENTS; i++)
        script_client_init(&w.t, &w.clients[i], i ? "pool" : "run", 1000 + i);
    for (uint32_t i = 0; i < ROUNDS && !*w.t.sim.wrong; i++)
        round_of(&w);
    script_run(&w.t, 30000);
    assert_non_null(broker_core(w.t.sim.broker));
    script_replays(&w.t);
    assert_true(ears.restarts > 0);
    *hash = w.t.sim.hash;
    for (uint32_t i = 0; i < CLIENTS; i++)
        script_client_finish(&w.clients[i]);
    script_close(&w.t);
}

static void whatever_befalls_it_the_books_are_sound(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        uint64_t first, second;
        play(seed, &first);
        play(seed, &second);
        assert_true(first == second);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(whatever_befalls_it_the_books_are_sound)};
    return cmocka_run_group_tests_name("broker_storm", tests, NULL, NULL);
}
