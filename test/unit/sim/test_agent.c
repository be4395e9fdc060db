/* An agent of a simulated host: the claims that ship, over a machine, spoken to by a scripted broker. */
#include "world.h"

static const enforcement kinds[] = {ENFORCE_V2, ENFORCE_V1, ENFORCE_WATCH};

#define FOR_EACH_KIND(how, seed)                                                                                       \
    for (uint32_t kind_ = 0; kind_ < 3; kind_++)                                                                       \
        for (uint64_t seed = 1, how = kinds[kind_]; seed <= 20; seed++)

static void hello_tells_the_host(void **state)
{
    (void)state;
    world *w = world_ready(1, ENFORCE_V2);
    const event_host_hello *h = &w->hello.hello;
    assert_string_equal(h->name, "a");
    assert_string_equal(h->boot_id, "boot-a-1");
    assert_int_equal(h->physical, GIB(8));
    assert_int_equal(h->n_groups, 0);
    assert_true(h->limited);
    assert_int_equal(w->sample.in_use, 0);
    machine_set_foreign(w->m, GIB(2));
    world_run(w, 2 * SECOND);
    assert_int_equal(w->sample.in_use, GIB(2));
    assert_int_equal(w->sample.claims_used, 0);
    world_destroy(w);
    w = world_ready(1, ENFORCE_WATCH);
    assert_false(w->hello.hello.limited);
    world_destroy(w);
}

/* Opened, entered, measured, ended by the order to empty, and the peak told. */
static void a_task(enforcement how, uint64_t seed)
{
    world *w = world_ready(seed, how);
    int32_t pid = world_claim(w, 1, (process_plan){.from = MIB(20), .to = MIB(60), .grow = SECOND, .teardown = 5000});
    process_view p;
    assert_true(machine_process(w->m, pid, &p));
    assert_int_equal(p.group, 1);
    world_run(w, 3 * SECOND);
    assert_int_equal(w->use.gen.v, 1);
    assert_int_equal(w->use.used, MIB(60));
    assert_int_equal(w->use.processes, 1);
    assert_int_equal(w->sample.in_use, MIB(60));
    assert_int_equal(w->sample.claims_used, MIB(60));
    assert_int_equal(world_order(w, (effect_order){.kind = ORDER_EMPTY, .gen = {1}}), STATUS_OK);
    assert_int_equal(w->answered, EVENT_CLAIM_EMPTIED);
    assert_int_equal(w->answer.cause, CAUSE_EXIT);
    assert_true(w->answer.peak >= MIB(60));
    assert_int_equal(w->gone_pid, pid);
    assert_true(w->gone_killed && !w->gone_oom);
    world_say(w, (effect_order){.kind = ORDER_END, .gen = {1}});
    world_until(w, w->n_drains == 1);
    assert_int_equal(w->drained.gen.v, 1);
    assert_true(world_group(w, 1).charged <= MIB(1));
    world_say(w, (effect_order){.kind = ORDER_CLOSE, .gen = {1}});
    world_until(w, world_group(w, 1).generation == 0);
    world_destroy(w);
}

static void a_task_runs_and_is_emptied(void **state)
{
    (void)state;
    FOR_EACH_KIND(how, seed)
    a_task((enforcement)how, seed);
}

/* A limit kills, all at once or one after another, and the agent tells that it was memory. */
static void out_of_memory_is_told(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++)
        for (uint32_t k = 0; k < 2; k++) {
            world *w = world_ready(seed, kinds[k]);
            int32_t pid = world_claim(
                w, 1,
                (process_plan){
                    .from = MIB(20), .to = MIB(200), .grow = SECOND, .leaves_child = true, .child_life = US_NEVER});
            world_until(w, w->n_gone == 1);
            assert_int_equal(w->gone_pid, pid);
            assert_true(w->gone_oom);
            assert_int_equal(world_order(w, (effect_order){.kind = ORDER_EMPTY, .gen = {1}}), STATUS_OK);
            assert_int_equal(w->answer.cause, CAUSE_OOM);
            assert_int_equal(w->answer.peak, MIB(100));
            world_destroy(w);
        }
}

/* Where nothing is limited it goes on. */
static void watch_mode_kills_nobody(void **state)
{
    (void)state;
    world *w = world_ready(1, ENFORCE_WATCH);
    world_claim(w, 1, (process_plan){.from = MIB(20), .to = MIB(200), .grow = SECOND});
    world_run(w, 3 * SECOND);
    assert_int_equal(w->n_gone, 0);
    assert_int_equal(w->use.used, MIB(200));
    assert_int_equal(w->sample.in_use, MIB(200));
    assert_int_equal(w->sample.claims_used, MIB(100));
    world_destroy(w);
}

/* Memory of the dead, and shared memory that they left, keep a claim from draining. */
static void what_stays_charged_is_not_drained(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++)
        for (uint32_t k = 0; k < 2; k++) {
            world *w = world_ready(seed, kinds[k]);
            world_claim(w, 1,
                        (process_plan){.from = MIB(20),
                                       .to = MIB(60),
                                       .grow = 1000,
                                       .life = SECOND,
                                       .teardown = 2 * SECOND,
                                       .shared = MIB(10),
                                       .shared_life = 5 * SECOND});
            world_until(w, w->n_gone == 1);
            us_t died = clock_now(w->s.clock);
            world_say(w, (effect_order){.kind = ORDER_END, .gen = {1}});
            world_run(w, SECOND);
            assert_true(world_group(w, 1).charged >= MIB(70));
            world_run(w, 2 * SECOND);
            assert_int_equal(world_group(w, 1).charged - world_group(w, 1).droppable, MIB(10));
            assert_int_equal(w->n_drains, 0);
            world_until(w, w->n_drains == 1);
            assert_true(clock_now(w->s.clock) >= died + 5 * SECOND);
            assert_int_equal(w->drained.cause, CAUSE_EXIT);
            world_destroy(w);
        }
}

static void stubborn_processes_are_waited_for(void **state)
{
    (void)state;
    FOR_EACH_KIND(how, seed)
    {
        world *w = world_ready(seed, (enforcement)how);
        world_claim(w, 1, (process_plan){.from = MIB(20), .to = MIB(20), .stubborn = true, .stubborn_for = 7 * SECOND});
        world_say(w, (effect_order){.kind = ORDER_END, .gen = {1}, .kill = true});
        world_run(w, 6 * SECOND);
        assert_int_equal(w->n_drains, 0);
        world_until(w, w->n_drains == 1);
        assert_int_equal(w->drained.cause, CAUSE_KILLED);
        world_destroy(w);
    }
}

/* An agent that crashed finds its groups again, by their names; its claims go on. */
static void a_crash_is_survived(void **state)
{
    (void)state;
    FOR_EACH_KIND(how, seed)
    {
        world *w = world_ready(seed, (enforcement)how);
        int32_t pid = world_claim(w, 1, (process_plan){.from = MIB(20), .to = MIB(60), .grow = SECOND});
        world_run(w, SECOND / 2);
        agent_crash(w->a, 2 * SECOND);
        assert_false(agent_is_up(w->a));
        world_link(w, 1, 1);
        assert_true(agent_is_up(w->a));
        assert_int_equal(w->hello.hello.n_groups, 1);
        assert_int_equal(w->groups[0].v, 1);
        assert_int_equal(w->n_gone, 0);
        world_run(w, 2 * SECOND);
        assert_int_equal(w->use.gen.v, 1);
        assert_int_equal(w->use.used, MIB(60));
        world_say(w, (effect_order){.kind = ORDER_END, .gen = {1}, .kill = true});
        world_until(w, w->n_drains == 1);
        assert_int_equal(w->gone_pid, pid);
        world_destroy(w);
    }
}

/* A number whose group is gone opens nothing, also not for an agent that knows nothing any more. */
static void a_generation_opens_once(void **state)
{
    (void)state;
    FOR_EACH_KIND(how, seed)
    {
        world *w = world_ready(seed, (enforcement)how);
        assert_int_equal(world_order(w, (effect_order){.kind = ORDER_OPEN, .gen = {2}}), STATUS_OK);
        world_say(w, (effect_order){.kind = ORDER_END, .gen = {2}});
        world_until(w, w->n_drains == 1);
        world_say(w, (effect_order){.kind = ORDER_CLOSE, .gen = {2}});
        world_run(w, SECOND);
        assert_int_equal(world_group(w, 2).generation, 0);
        assert_int_equal(world_order(w, (effect_order){.kind = ORDER_OPEN, .gen = {2}}), STATUS_STALE);
        assert_int_equal(world_order(w, (effect_order){.kind = ORDER_OPEN, .gen = {1}}), STATUS_STALE);
        assert_int_equal(world_order(w, (effect_order){.kind = ORDER_OPEN, .gen = {3}}), STATUS_OK);
        world_destroy(w);
    }
}

static void a_reboot_leaves_nothing(void **state)
{
    (void)state;
    FOR_EACH_KIND(how, seed)
    {
        world *w = world_ready(seed, (enforcement)how);
        world_claim(w, 1, (process_plan){.from = MIB(20), .to = MIB(60), .shared = MIB(5), .shared_life = US_NEVER});
        world_run(w, SECOND);
        machine_reboot(w->m);
        agent_machine_rebooted(w->a, SECOND);
        assert_int_equal(w->n_gone, 1);
        assert_int_equal(machine_in_use(w->m), 0);
        world_link(w, 1, 0);
        assert_string_equal(w->hello.hello.boot_id, "boot-a-2");
        assert_int_equal(w->hello.hello.n_groups, 0);
        world_destroy(w);
    }
}

/* Children that outlive their task are ended by the order to empty, and by nothing else. */
static void children_that_are_left_are_ended(void **state)
{
    (void)state;
    FOR_EACH_KIND(how, seed)
    {
        world *w = world_ready(seed, (enforcement)how);
        world_claim(
            w, 1,
            (process_plan){
                .from = MIB(20), .to = MIB(20), .life = SECOND, .leaves_child = true, .child_life = 600 * SECOND});
        world_until(w, w->n_gone == 1);
        world_run(w, 5 * SECOND);
        assert_int_equal(world_group(w, 1).processes, 1);
        int32_t next = world_process(w, (process_plan){.from = MIB(1), .to = MIB(1)});
        assert_int_equal(
            world_order(
                w, (effect_order){.kind = ORDER_ENTER, .gen = {1}, .fresh = true, .handle = agent_handle(w->m, next)}),
            STATUS_OK);
        assert_int_equal(w->answered, EVENT_CLAIM_ENTERED);
        assert_int_equal(world_group(w, 1).processes, 1);
        process_view p;
        assert_true(machine_process(w->m, next, &p) && p.alive && p.group == 1);
        world_destroy(w);
    }
}

/* It tries until somebody listens, and again when the link breaks. */
static void it_links_again_and_again(void **state)
{
    (void)state;
    world *w = world_create(3);
    w->deaf = true;
    w->a = agent_create(&w->s, w->m);
    world_run(w, 3 * SECOND);
    assert_int_equal(w->n_hellos, 0);
    w->deaf = false;
    world_link(w, 0, 0);
    for (uint32_t i = 0; i < 5; i++) {
        net_break(w->link);
        world_link(w, 0, 0);
    }
    assert_int_equal(w->n_hellos, 6);
    world_destroy(w);
}

/* Before the live set is complete nothing opens. */
static void nothing_opens_too_early(void **state)
{
    (void)state;
    world *w = world_create(4);
    w->a = agent_create(&w->s, w->m);
    world_until(w, w->n_hellos == 1);
    world_say(w, (effect_order){.kind = ORDER_WELCOME});
    assert_int_equal(world_order(w, (effect_order){.kind = ORDER_OPEN, .gen = {1}}), STATUS_STATE);
    assert_int_equal(world_group(w, 1).generation, 0);
    world_destroy(w);
}

/* An empty group that somebody removed is made again, with the claim's limit. */
static void a_lost_group_is_made_again(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        world *w = world_ready(seed, ENFORCE_V2);
        assert_int_equal(world_order(w, (effect_order){.kind = ORDER_OPEN, .gen = {1}}), STATUS_OK);
        machine_lose_group(w->m);
        assert_int_equal(world_group(w, 1).generation, 0);
        world_run(w, 12 * SECOND);
        assert_int_equal(world_group(w, 1).limit, MIB(100));
        world_destroy(w);
    }
}

/* Another user's process, one that is dead, and one of another machine do not enter. */
static void who_may_not_enter(void **state)
{
    (void)state;
    FOR_EACH_KIND(how, seed)
    {
        world *w = world_ready(seed, (enforcement)how);
        int32_t other = machine_start(w->m, 1001, &(process_plan){.life = US_NEVER}, NULL, NULL);
        int32_t dead = world_process(w, (process_plan){.from = MIB(1)});
        machine_kill(w->m, dead, "client");
        world_until(w, w->n_gone == 1);
        effect_order o = {.kind = ORDER_OPEN, .gen = {1}, .handle = agent_handle(w->m, other)};
        assert_int_equal(world_order(w, o), STATUS_DENIED);
        o = (effect_order){.kind = ORDER_OPEN, .gen = {2}, .handle = agent_handle(w->m, dead)};
        assert_int_equal(world_order(w, o), STATUS_DEAD);
        o = (effect_order){.kind = ORDER_OPEN, .gen = {3}};
        assert_int_equal(world_order(w, o), STATUS_OK);
        o = (effect_order){.kind = ORDER_ENTER, .gen = {3}, .handle = 77};
        assert_int_equal(world_order(w, o), STATUS_INVALID);
        world_destroy(w);
    }
}

/*
 * A program that ran before is counted with what it brought; and where membership goes by names, of which it has none,
 * the next agent knows it by its pid and start.
 */
static void a_program_that_runs_already(void **state)
{
    (void)state;
    FOR_EACH_KIND(how, seed)
    {
        world *w = world_ready(seed, (enforcement)how);
        int32_t pid = world_process(w, (process_plan){.from = MIB(50), .to = MIB(50)});
        machine_go(w->m, pid);
        world_run(w, SECOND);
        effect_order o = {.kind = ORDER_OPEN, .gen = {1}, .handle = agent_handle(w->m, pid), .running = true};
        assert_int_equal(world_order(w, o), STATUS_OK);
        claim_root root = w->answer.root;
        assert_int_equal(root.pid, how == ENFORCE_WATCH ? pid : 0);
        o.gen.v = 2;
        assert_int_equal(world_order(w, o), STATUS_CLAIMED);
        assert_int_equal(w->answer.other.v, 1);
        agent_crash(w->a, SECOND);
        uint32_t hellos = w->n_hellos, samples = w->n_samples;
        world_until(w, w->n_hellos > hellos);
        world_say(w, (effect_order){.kind = ORDER_WELCOME, .gen = {2}});
        world_say(w, (effect_order){.kind = ORDER_EXPECT, .gen = {1}, .root = root});
        world_say(w, (effect_order){.kind = ORDER_READY});
        world_until(w, w->n_samples > samples);
        assert_int_equal(w->use.used, MIB(50));
        assert_int_equal(w->use.processes, 1);
        assert_int_equal(w->sample.in_use, MIB(50));
        world_say(w, (effect_order){.kind = ORDER_END, .gen = {1}, .kill = true});
        world_until(w, w->n_drains == 1);
        assert_int_equal(w->gone_pid, pid);
        world_destroy(w);
    }
}

/* While nothing changes an agent does no more than its samples and its looks around: its timers do not run wild. */
static void an_agent_at_rest_rests(void **state)
{
    (void)state;
    FOR_EACH_KIND(how, seed)
    {
        world *w = world_ready(seed, (enforcement)how);
        world_claim(w, 1, (process_plan){.from = MIB(1), .to = MIB(20), .grow = SECOND});
        world_claim(w, 2, (process_plan){.from = MIB(20), .to = MIB(60), .grow = 20 * SECOND});
        world_run(w, SECOND / 2);
        assert_int_equal(world_order(w, (effect_order){.kind = ORDER_EMPTY, .gen = {1}}), STATUS_OK);
        uint64_t before = clock_turns(w->s.clock);
        us_t end = clock_now(w->s.clock) + 60 * SECOND;
        while (clock_next(w->s.clock) <= end && clock_turns(w->s.clock) < before + 10000)
            clock_turn(w->s.clock);
        assert_true(clock_turns(w->s.clock) < before + 5000); /* 30 samples, collects and their messages a second */
        world_destroy(w);
    }
}

/* What was said between the same two moments, by one seed. */
static uint64_t hash_of(uint64_t seed)
{
    world *w = world_create(seed);
    w->s.plan.faults = true;
    w->a = agent_create(&w->s, w->m);
    world_link(w, 0, 0);
    for (uint32_t i = 1; i <= 8; i++) {
        int32_t pid = world_process(w, (process_plan){.from = MIB(10 * i), .to = MIB(20 * i), .grow = SECOND});
        world_say(w, (effect_order){.kind = ORDER_OPEN, .gen = {i}, .handle = agent_handle(w->m, pid)});
        world_run(w, SECOND / 3);
        machine_go(w->m, pid);
        if (i == 5) {
            agent_crash(w->a, SECOND);
            world_link(w, i, 4);
        }
        world_say(w, (effect_order){.kind = ORDER_END, .gen = {i / 2 + 1}, .kill = true});
    }
    world_run(w, 5 * SECOND);
    uint64_t hash = w->s.hash;
    world_destroy(w);
    return hash;
}

static void the_same_seed_is_the_same_run(void **state)
{
    (void)state;
    uint64_t first = hash_of(1);
    for (uint64_t seed = 1; seed <= 20; seed++)
        assert_true(hash_of(seed) == hash_of(seed));
    assert_true(hash_of(2) != first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_tells_the_host),
        cmocka_unit_test(a_task_runs_and_is_emptied),
        cmocka_unit_test(out_of_memory_is_told),
        cmocka_unit_test(watch_mode_kills_nobody),
        cmocka_unit_test(what_stays_charged_is_not_drained),
        cmocka_unit_test(stubborn_processes_are_waited_for),
        cmocka_unit_test(a_crash_is_survived),
        cmocka_unit_test(a_generation_opens_once),
        cmocka_unit_test(a_reboot_leaves_nothing),
        cmocka_unit_test(children_that_are_left_are_ended),
        cmocka_unit_test(it_links_again_and_again),
        cmocka_unit_test(nothing_opens_too_early),
        cmocka_unit_test(a_lost_group_is_made_again),
        cmocka_unit_test(who_may_not_enter),
        cmocka_unit_test(a_program_that_runs_already),
        cmocka_unit_test(an_agent_at_rest_rests),
        cmocka_unit_test(the_same_seed_is_the_same_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
