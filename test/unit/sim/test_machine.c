/* A machine: who uses what, who dies of what, and that every byte is somebody's. */
#include "machine_inner.h"
#include "world.h"

/* Every byte in use is foreign, a group's, of a process in none, or of the dead. */
static void assert_sums(const machine *m)
{
    bytes_t sum = m->foreign;
    for (const machine_group *g = m->groups; g; g = g->next) {
        bytes_t charged = g->droppable;
        uint32_t members = 0;
        for (uint32_t i = 0; i < m->n_living; i++)
            if (m->living[i]->group == g) {
                charged += m->living[i]->anon + m->living[i]->shared;
                members++;
            }
        for (const ghost *left = m->ghosts; left; left = left->next)
            charged += left->group == g ? left->bytes : 0;
        assert_int_equal(g->used, charged);
        assert_int_equal(g->processes, members);
        assert_true(machine_group_charged(g) <= g->limit);
        assert_true(machine_group_charged(g) <= g->high);
        sum += charged;
    }
    for (uint32_t i = 0; i < m->n_living; i++)
        sum += m->living[i]->brought + (m->living[i]->group ? 0 : m->living[i]->anon + m->living[i]->shared);
    for (const ghost *left = m->ghosts; left; left = left->next)
        sum += left->group ? 0 : left->bytes;
    assert_int_equal(machine_in_use(m), sum);
}

static world *bare(uint64_t seed, enforcement how)
{
    world *w = world_create(seed);
    machine_set_enforcement(w->m, how);
    return w;
}

static int32_t started_in(world *w, machine_group *g, process_plan plan)
{
    int32_t pid = world_process(w, plan);
    if (g)
        machine_group_enter(w->m, g, machine_find(w->m, pid));
    machine_go(w->m, pid);
    return pid;
}

static void a_process_grows_lives_and_is_torn_down(void **state)
{
    (void)state;
    world *w = bare(1, ENFORCE_V2);
    int32_t pid = started_in(w, NULL,
                             (process_plan){.from = MIB(10),
                                            .to = MIB(50),
                                            .grow = SECOND,
                                            .life = 2 * SECOND,
                                            .teardown = SECOND,
                                            .shared = MIB(7),
                                            .shared_life = 3 * SECOND});
    process_view p;
    assert_int_equal(machine_in_use(w->m), MIB(10));
    world_run(w, SECOND / 2 + 1);
    assert_int_equal(machine_in_use(w->m), MIB(30));
    world_run(w, SECOND);
    assert_int_equal(machine_in_use(w->m), MIB(57));
    world_run(w, SECOND);
    assert_int_equal(w->n_gone, 1);
    assert_true(machine_process(w->m, pid, &p));
    assert_true(!p.alive && !p.killed && !p.oom);
    assert_int_equal(machine_in_use(w->m), MIB(57));
    world_run(w, SECOND);
    assert_int_equal(machine_in_use(w->m), MIB(7));
    world_run(w, 2 * SECOND);
    assert_int_equal(machine_in_use(w->m), 0);
    world_destroy(w);
}

/* Version 2 kills all of a group; version 1 the largest, and the others go on. */
static void a_limit_kills(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        world *w = bare(seed, ENFORCE_V2);
        machine_group *g = machine_group_make(w->m, 1, MIB(100));
        started_in(w, g, (process_plan){.from = MIB(10), .to = MIB(10)});
        started_in(w, g, (process_plan){.from = MIB(10), .to = MIB(95), .grow = SECOND});
        world_run(w, 2 * SECOND);
        assert_int_equal(w->n_gone, 2);
        assert_int_equal(g->kills, 2);
        assert_sums(w->m);
        world_destroy(w);
        w = bare(seed, ENFORCE_V1);
        g = machine_group_make(w->m, 1, MIB(100));
        int32_t small = started_in(w, g, (process_plan){.from = MIB(10), .to = MIB(10)});
        int32_t large = started_in(w, g, (process_plan){.from = MIB(10), .to = MIB(95), .grow = SECOND});
        world_run(w, 2 * SECOND);
        process_view p;
        assert_int_equal(w->n_gone, 1);
        assert_int_equal(w->gone_pid, large);
        assert_true(w->gone_oom);
        assert_int_equal(g->kills, 1);
        assert_true(machine_process(w->m, small, &p) && p.alive);
        assert_sums(w->m);
        world_destroy(w);
    }
}

/* A page stays where it was first touched; what its process touches from then on is the group's. */
static void what_was_brought_is_not_limited(void **state)
{
    (void)state;
    world *w = bare(1, ENFORCE_V2);
    int32_t pid = started_in(w, NULL, (process_plan){.from = MIB(40), .to = MIB(80), .grow = SECOND});
    world_run(w, SECOND / 2 + 1);
    machine_group *g = machine_group_make(w->m, 1, MIB(30));
    machine_group_enter(w->m, g, machine_find(w->m, pid));
    world_run(w, SECOND);
    assert_int_equal(machine_in_use(w->m), MIB(80));
    assert_int_equal(g->used, MIB(20));
    assert_int_equal(w->n_gone, 0);
    assert_sums(w->m);
    world_destroy(w);
}

/* A group with somebody in it is not removed; one with memory of the dead is, and that is nobody's from then on. */
static void only_empty_groups_are_removed(void **state)
{
    (void)state;
    world *w = bare(1, ENFORCE_V1);
    machine_group *g = machine_group_make(w->m, 1, MIB(100));
    int32_t pid = started_in(w, g, (process_plan){.from = MIB(40), .to = MIB(40), .teardown = 5 * SECOND});
    assert_false(machine_group_remove(w->m, g));
    machine_kill(w->m, pid, "client");
    world_run(w, SECOND);
    assert_int_equal(w->n_gone, 1);
    assert_true(w->gone_killed);
    g->busy_until = 0; /* nothing happens that time could pass by */
    assert_true(machine_group_remove(w->m, g));
    assert_sums(w->m);
    assert_int_equal(machine_in_use(w->m), MIB(40));
    world_run(w, 5 * SECOND);
    assert_int_equal(machine_in_use(w->m), 0);
    world_destroy(w);
}

/* Anything, in any order: the sums hold after every job. */
static void the_sums_hold_whatever_happens(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        world *w = world_create(seed);
        rng dice = rng_named(seed, "test", 0);
        bool limited = machine_enforcement(w->m) != ENFORCE_WATCH;
        for (uint32_t i = 1; i <= 200; i++) {
            uint64_t gen = rng_between(&dice, 1, 4);
            machine_group *g = machine_group_find(w->m, gen);
            if (!g)
                g = machine_group_make(w->m, gen, limited ? MIB(rng_between(&dice, 10, 300)) : UINT64_MAX);
            process_plan plan = {.from = MIB(rng_below(&dice, 20)),
                                 .to = MIB(rng_below(&dice, 200)),
                                 .grow = rng_below(&dice, SECOND),
                                 .life = rng_below(&dice, 2 * SECOND),
                                 .teardown = rng_below(&dice, SECOND),
                                 .shared = rng_chance(&dice, 300000) ? MIB(rng_below(&dice, 30)) : 0,
                                 .shared_life = rng_below(&dice, 3 * SECOND),
                                 .stubborn = rng_chance(&dice, 200000),
                                 .stubborn_for = rng_below(&dice, SECOND),
                                 .leaves_child = rng_chance(&dice, 300000),
                                 .child_life = rng_below(&dice, SECOND)};
            int32_t pid = started_in(w, rng_chance(&dice, 800000) ? g : NULL, plan);
            if (rng_chance(&dice, 300000))
                machine_kill(w->m, pid - (int32_t)rng_below(&dice, 5), "client");
            if (rng_chance(&dice, 20000))
                machine_reboot(w->m);
            else if (limited && rng_chance(&dice, 100000) && (g = machine_group_find(w->m, gen)))
                (void)machine_group_remove(w->m, g);
            us_t end = clock_now(w->s.clock) + rng_below(&dice, SECOND / 4);
            while (clock_next(w->s.clock) <= end) {
                clock_turn(w->s.clock);
                assert_sums(w->m);
            }
        }
        world_run(w, 30 * SECOND);
        assert_int_equal(w->m->n_living, 0);
        bytes_t left = 0;
        for (const machine_group *g = w->m->groups; g; g = g->next)
            left += g->droppable;
        assert_int_equal(machine_in_use(w->m), left);
        world_destroy(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_grows_lives_and_is_torn_down), cmocka_unit_test(a_limit_kills),
        cmocka_unit_test(what_was_brought_is_not_limited),        cmocka_unit_test(only_empty_groups_are_removed),
        cmocka_unit_test(the_sums_hold_whatever_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
