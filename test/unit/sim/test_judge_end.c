/* Each rule of the judges on what the core shows, what lasts too long, and the end: with a real core whose books are
 * not what the judges were told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "court.h"

#define GIVES (TERM_GROWABLE | TERM_RECALLABLE)

/* ---- a core ---- */

static core *c;
static void *arena;
static core_effects effects;

/* A broker that has loaded its part of the journal: the host, session 7, and allocation 1 if it has chunks. */
static void core_open(chunks_t held, chunks_t returning, chunks_t claimed)
{
    core_limits limits = {4, 4, 4, 4, 8, 8, 8, 64};
    size_t size = core_arena_size(&limits);
    arena = aligned_alloc(64, (size + 63) / 64 * 64);
    effects = (core_effects){.items = calloc(EFFECTS_MAX, sizeof(core_effect)), .capacity = EFFECTS_MAX};
    assert_int_equal(core_init(&c, &limits, &core_timers_default, arena, size), 0);
    core_record r[] = {
        {.kind = RECORD_HOST, .host = {.name = "a", .boot_id = "boot", .total = GIB(8)}},
        {.kind = RECORD_SESSION,
         .session = {.id = {SESSION}, .user = {1000}, .state = SESSION_ATTACHED, .grace_until = MS_NEVER}},
        {.kind = RECORD_ALLOCATION, .allocation = {.id = {1}, .owner = {SESSION}, .user = {1000}}},
        {.kind = RECORD_ALLOCATION_STATE,
         .allocation_state = {.id = {1}, .state = ALLOCATION_LIVE, .version = 1, .want = 3, .wait_until = MS_NEVER}},
        {.kind = RECORD_HOLDING,
         .holding = {.allocation = {1}, .held = held, .returning = returning, .returning_until = MS_NEVER}},
        {.kind = RECORD_CLAIM,
         .claim = {.gen = {1}, .allocation = {1}, .chunks = claimed, .state = CLAIM_OPEN, .closing_until = MS_NEVER}},
    };
    r[2].allocation.terms = (allocation_terms){.chunk_size = CHUNK, .want = 3, .min = 1, .flags = GIVES};
    for (size_t i = 0; i < (claimed ? 6u : held ? 5u : 2u); i++)
        assert_int_equal(core_load(c, &r[i]), 0);
    assert_int_equal(core_recover(c, CLOCK_EPOCH_MS, true, &effects), 0);
    others.core = c;
}

static void core_close(void)
{
    free(arena);
    free(effects.items);
}

static void core_feed(court *t, core_event e)
{
    if (e.kind == EVENT_HOST_HELLO) {
        snprintf(e.hello.name, sizeof e.hello.name, "a");
        snprintf(e.hello.boot_id, sizeof e.hello.boot_id, "boot");
    }
    court_event(t, e, 0);
    assert_int_equal(core_step(c, CLOCK_EPOCH_MS, &e, &effects), 0);
}

/* ---- what the core shows ---- */

static void test_core_as_told(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 1, 3, 2);
    core_open(3, 0, 2);
    court_step(t);
    court_well(t);
    court_close(t);
    core_close();
}

static void test_columns(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 1, 3, 0);
    core_open(2, 0, 0);
    court_step(t);
    court_wrong(t, "bytes: a shows 2147483648 granted, 0 returning, 0 quarantined; by the journal it is 3221225472, 0, "
                   "0");
    core_close();
}

static void test_total(void **state)
{
    (void)state;
    court *t = court_open();
    core_open(0, 0, 0);
    core_feed(t, (core_event){.kind = EVENT_HOST_HELLO, .hello = {.physical = GIB(8), .total = GIB(8)}});
    court_step(t);
    court_well(t);
    core_event e = {.kind = EVENT_HOST_HELLO, .hello = {.name = "a", .physical = GIB(8), .total = GIB(6)}};
    court_event(t, e, 0); /* the core never hears of it */
    court_step(t);
    court_wrong(t, "bytes: a has a total of 8589934592 and 536870912 set aside; by what was told it is 6442450944 and "
                   "536870912");
    core_close();
}

static void test_foreign_memory(void **state)
{
    (void)state;
    court *t = court_open();
    core_open(0, 0, 0);
    core_feed(t, (core_event){.kind = EVENT_HOST_HELLO, .hello = {.physical = GIB(8), .total = GIB(8)}});
    core_feed(t, (core_event){.kind = EVENT_HOST_SAMPLE, .sample = {.in_use = GIB(1)}});
    court_step(t);
    court_well(t);
    for (int i = 0; i < 2; i++)
        court_event(t, (core_event){.kind = EVENT_HOST_SAMPLE, .sample = {.in_use = GIB(2)}}, 0);
    court_step(t);
    court_wrong(t, "bytes: a has 536870912 foreign bytes; by its samples it is 1610612736 to 1610612736");
    core_close();
}

static void test_allocation_that_the_core_lost(void **state)
{
    (void)state;
    court *t = court_open();
    court_allocation(t, 4, ALLOCATION_WAITING, GIVES, 1, 3);
    core_open(0, 0, 0);
    court_step(t);
    court_wrong(t, "lease: A4 with 0 chunks is gone, and no record says so");
    core_close();
}

static void test_allocation_without_a_record(void **state)
{
    (void)state;
    court *t = court_open();
    core_open(3, 0, 0);
    core_record r = {.kind = RECORD_ALLOCATION, .allocation = {.id = {2}, .owner = {SESSION}, .user = {1000}}};
    r.allocation.terms.chunk_size = CHUNK;
    judge_record(t->s.judges, &r);
    r = (core_record){.kind = RECORD_HOLDING, .holding = {.allocation = {2}, .held = 3}};
    judge_record(t->s.judges, &r); /* columns agree */
    r = (core_record){.kind = RECORD_ALLOCATION_STATE,
                      .allocation_state = {.id = {2}, .state = ALLOCATION_LIVE, .version = 1, .want = 3}};
    judge_record(t->s.judges, &r);
    court_step(t);
    court_wrong(t, "lease: A1 is in no record of the journal");
    core_close();
}

static void test_claim_that_the_core_lost(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 1, 3, 2);
    core_open(3, 0, 0);
    court_step(t);
    court_wrong(t, "lease: the core has 0 claims; by the journal 1");
    core_close();
}

static void test_recall_that_the_core_lost(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 1, 3, 0);
    core_open(3, 0, 0);
    court_put(t, court_recall(1, 1, 2));
    court_step(t);
    court_wrong(t, "outcomes: the core has 0 recalls; by the journal 1");
    core_close();
}

static void test_session_that_the_core_lost(void **state)
{
    (void)state;
    court *t = court_open();
    core_open(0, 0, 0);
    court_session(t, 8);
    court_step(t);
    court_wrong(t, "lease: the core has 1 sessions; by the journal 2");
    core_close();
}

/* ---- what lasts ---- */

static void nothing(void *context, uint64_t argument)
{
    (void)context;
    (void)argument;
}

static void look_for(court *t, ms_t ms)
{
    for (ms_t at = 0; at <= ms; at += 100) {
        clock_at(t->s.clock, clock_now(t->s.clock) + US_OF_MS(100), nothing, NULL, 0);
        clock_turn(t->s.clock);
        for (int i = 0; i < 64; i++)
            judge_look(t->s.judges);
    }
}

static void core_with_memory(court *t)
{
    core_open(0, 0, 0);
    core_feed(t, (core_event){.kind = EVENT_HOST_HELLO, .hello = {.physical = GIB(8), .total = GIB(8)}});
    core_feed(t, (core_event){.kind = EVENT_HOST_SAMPLE, .sample = {.in_use = MIB(100)}});
    court_step(t);
    court_well(t);
    others.core = NULL; /* the views are compared no more: books that differ are what is played */
}

static void test_waits_though_it_fits(void **state)
{
    (void)state;
    court *t = court_open();
    core_with_memory(t);
    court_allocation(t, 4, ALLOCATION_WAITING, 0, 2, 2);
    court_step(t);
    others.core = c;
    look_for(t, 3000);
    court_well(t);
    look_for(t, 2000);
    court_wrong(t, "progress: A4 waits for 2 chunks of 1073741824, and a has had 8053063680 bytes free for more than "
                   "4000 ms");
    core_close();
}

static void test_recall_for_nobody(void **state)
{
    (void)state;
    court *t = court_open();
    core_with_memory(t);
    court_live(t, 1, GIVES, 1, 3, 0);
    record_recall r = court_recall(1, 1, 2);
    r.reason = RECALL_FOR_WAITER;
    r.beneficiary.v = 9;
    court_put(t, r);
    court_step(t);
    others.core = c;
    look_for(t, 5000);
    court_wrong(t, "progress: recall 1 (reason 1) asks A1 on a for 2 chunks, and A9 has had no use for them for more "
                   "than 4000 ms");
    core_close();
}

/* ---- the end ---- */

static void end_session(court *t)
{
    core_record r = {.kind = RECORD_SESSION_END, .session_end = {SESSION}};
    judge_record(t->s.judges, &r);
    court_step(t);
}

/* Nobody compares: only whether there is a broker counts. */
static void end_now(court *t)
{
    court_well(t);
    core_open(0, 0, 0);
    judge_end(t->s.judges);
    core_close();
}

static void test_a_good_end(void **state)
{
    (void)state;
    court *t = court_open();
    end_session(t);
    end_now(t);
    court_well(t);
    court_close(t);
}

static void test_client_without_end(void **state)
{
    (void)state;
    court *t = court_open();
    end_session(t);
    t->s.n_clients = 1;
    end_now(t);
    court_wrong(t, "progress: pool 0 is not over in the end: A3, waiting, 2 requests without an answer");
}

static void test_no_broker(void **state)
{
    (void)state;
    court *t = court_open();
    end_session(t);
    judge_end(t->s.judges);
    court_wrong(t, "progress: in the end there is no broker");
}

static void test_session_in_the_end(void **state)
{
    (void)state;
    court *t = court_open();
    end_now(t);
    court_wrong(t, "reality: in the end session 7 of process 42 is in the books");
}

static void test_claim_without_group(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 1, 3, 1);
    end_now(t);
    court_wrong(t, "reality: in the end claim 1 of A1 has no group on a");
}

static void test_claim_of_nothing(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 1, 3, 1);
    machine_group_make(t->m, 1, CHUNK);
    end_now(t);
    court_wrong(t, "reality: in the end claim 1 of A1 (state 2, 1 chunks) is in the books, and nothing is left of it "
                   "on a");
}

static void test_allocation_of_nobody(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 1, 3, 0);
    end_session(t);
    end_now(t);
    court_wrong(t, "reality: in the end A1 is in the books in state 2 with 3 chunks and no claim");
}

static void test_group_without_claim(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 1, 3, 1);
    court_claim_over(t, 1);
    court_event(t, court_release(1, NULL), 1);
    court_holding(t, 1, 0, 0);
    court_allocation_over(t, 1);
    end_session(t);
    machine_group_make(t->m, 1, CHUNK);
    end_now(t);
    court_wrong(t, "reality: in the end a has a group of claim 1 with 0 processes and 0 bytes, and the books have no "
                   "such claim");
}

static void test_journal_that_diverges(void **state)
{
    (void)state;
    court *t = court_open();
    end_session(t);
    others.diverges = true;
    end_now(t);
    court_wrong(t, "replay: the journal replays to fewer records than there are");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_core_as_told),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_total),
        cmocka_unit_test(test_foreign_memory),
        cmocka_unit_test(test_allocation_that_the_core_lost),
        cmocka_unit_test(test_allocation_without_a_record),
        cmocka_unit_test(test_claim_that_the_core_lost),
        cmocka_unit_test(test_recall_that_the_core_lost),
        cmocka_unit_test(test_session_that_the_core_lost),
        cmocka_unit_test(test_waits_though_it_fits),
        cmocka_unit_test(test_recall_for_nobody),
        cmocka_unit_test(test_a_good_end),
        cmocka_unit_test(test_client_without_end),
        cmocka_unit_test(test_no_broker),
        cmocka_unit_test(test_session_in_the_end),
        cmocka_unit_test(test_claim_without_group),
        cmocka_unit_test(test_claim_of_nothing),
        cmocka_unit_test(test_allocation_of_nobody),
        cmocka_unit_test(test_group_without_claim),
        cmocka_unit_test(test_journal_that_diverges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
