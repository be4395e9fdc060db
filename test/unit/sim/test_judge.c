/* Each rule of the judges on steps and records: a history that breaks it, and the sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/status.h"
#include "court.h"

#define GIVES (TERM_GROWABLE | TERM_RECALLABLE)

static void test_nothing_wrong(void **state)
{
    (void)state;
    court *t = court_open();
    extent one = {.chunks = 1};
    court_live(t, 1, GIVES, 1, 3, 2);
    court_event(t, court_release(1, &one), 1);
    court_holding(t, 1, 2, 0);
    court_step(t);
    court_event(t, court_release(1, &one), 2);
    court_holding(t, 1, 1, 1);
    court_step(t);
    court_claim_over(t, 1);
    court_holding(t, 1, 1, 0);
    court_step(t);
    court_well(t);
    court_close(t);
}

/* ---- bytes ---- */

static void test_bytes_claimed(void **state)
{
    (void)state;
    court *t = court_open();
    extent one = {.chunks = 1};
    court_live(t, 1, GIVES, 1, 3, 3);
    court_event(t, court_release(1, &one), 1);
    court_holding(t, 1, 2, 0); /* and returning nothing */
    court_step(t);
    court_wrong(t, "bytes: claims of A1 on a stand for 3 chunks; 2 are held and 0 returning");
}

static void test_bytes_debt(void **state)
{
    (void)state;
    court *t = court_open();
    extent two = {.chunks = 2};
    court_live(t, 1, GIVES, 1, 3, 1);
    court_event(t, court_release(1, &two), 1);
    court_holding(t, 1, 1, 2);
    court_step(t);
    court_wrong(t, "bytes: A1 returns 2 chunks on a, and its claims there stand for 1");
}

static void test_bytes_left_behind(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 1, 3, 0);
    court_allocation_over(t, 1);
    court_step(t);
    court_wrong(t, "bytes: A1 is over and holds 3 chunks on a");
}

static void test_bytes_claim_left_behind(void **state)
{
    (void)state;
    court *t = court_open();
    extent one = {.chunks = 1};
    court_live(t, 1, GIVES, 0, 1, 1);
    court_event(t, court_release(1, &one), 1);
    court_holding(t, 1, 0, 1);
    court_step(t);
    court_claim(t, 1, 1, 1, CLAIM_QUARANTINED, false);
    court_holding(t, 1, 0, 0);
    court_allocation_over(t, 1);
    court_step(t);
    court_wrong(t, "bytes: A1 is over and has claim 1");
}

static void test_end_of_nothing(void **state)
{
    (void)state;
    court *t = court_open();
    court_claim_over(t, 9);
    court_wrong(t, "bytes: a record ends what is not in the books: kind 10, number 9");
}

/* ---- overbooked ---- */

static void test_overbooked(void **state)
{
    (void)state;
    court *t = court_open(); /* 8 GiB without the 512 MiB that its owner keeps */
    court_live(t, 1, 0, 7, 7, 0);
    court_allocation(t, 2, ALLOCATION_LIVE, 0, 1, 1);
    court_holding(t, 2, 1, 0);
    court_step(t);
    court_wrong(t, "overbooked: after 1 chunks for A2 on a, 8589934592 granted + 0 returning + 0 quarantined + "
                   "536870912 kept or foreign are more than its 8589934592 bytes");
}

/* What returns is nobody's yet. */
static void test_overbooked_returning(void **state)
{
    (void)state;
    court *t = court_open();
    extent two = {.chunks = 2};
    court_live(t, 1, GIVES, 1, 7, 7);
    court_event(t, court_release(1, &two), 1);
    court_holding(t, 1, 5, 2);
    court_step(t);
    court_well(t);
    court_allocation(t, 2, ALLOCATION_LIVE, 0, 1, 1);
    court_holding(t, 2, 1, 0);
    court_step(t);
    court_wrong(t, "overbooked: after 1 chunks for A2 on a, 6442450944 granted + 2147483648 returning + 0 quarantined "
                   "+ 536870912 kept or foreign are more than its 8589934592 bytes");
}

static void sample(court *t, bytes_t in_use)
{
    court_event(t, (core_event){.kind = EVENT_HOST_SAMPLE, .sample = {.in_use = in_use}}, 0);
    court_step(t);
}

/* One sample is no rise; two are. */
static void test_overbooked_foreign(void **state)
{
    (void)state;
    court *t = court_open();
    sample(t, GIB(3));
    court_live(t, 1, 0, 5, 5, 0);
    sample(t, GIB(3));
    court_allocation(t, 2, ALLOCATION_LIVE, 0, 1, 1);
    court_holding(t, 2, 1, 0);
    court_step(t);
    court_wrong(t, "overbooked: after 1 chunks for A2 on a, 6442450944 granted + 0 returning + 0 quarantined + "
                   "3221225472 kept or foreign are more than its 8589934592 bytes");
}

/* Foreign memory that rises after the grant is nobody's fault. */
static void test_overdraft_is_no_grant(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 7, 7, 0);
    sample(t, GIB(6));
    sample(t, GIB(6));
    court_well(t);
    court_close(t);
}

static void test_silent_host(void **state)
{
    (void)state;
    court *t = court_open();
    court_event(t, (core_event){.kind = EVENT_HOST_GONE}, 0);
    court_step(t);
    court_allocation(t, 1, ALLOCATION_LIVE, 0, 2, 2);
    court_holding(t, 1, 2, 0);
    court_step(t);
    court_wrong(t, "grant: A1 got 2 chunks on a, which is silent");
}

static void test_no_fresh_sample(void **state)
{
    (void)state;
    court *t = court_open();
    court_event(t, (core_event){.kind = EVENT_HOST_HELLO, .hello = {.name = "a", .physical = GIB(8), .total = GIB(8)}},
                0);
    court_step(t);
    court_allocation(t, 1, ALLOCATION_LIVE, 0, 2, 2);
    court_holding(t, 1, 2, 0);
    court_step(t);
    court_wrong(t, "grant: A1 got 2 chunks on a, which is without a fresh sample");
}

static void test_draining_host(void **state)
{
    (void)state;
    court *t = court_open();
    court_host(t, true);
    court_step(t);
    court_allocation(t, 1, ALLOCATION_LIVE, 0, 2, 2);
    court_holding(t, 1, 2, 0);
    court_step(t);
    court_wrong(t, "grant: A1 got 2 chunks on a, which is being emptied");
}

/* ---- terms ---- */

static void test_more_than_wanted(void **state)
{
    (void)state;
    court *t = court_open();
    court_allocation(t, 1, ALLOCATION_LIVE, 0, 2, 2);
    court_holding(t, 1, 3, 0);
    court_step(t);
    court_wrong(t, "grant: A1 holds 3 chunks and wants 2");
}

static void test_less_than_least(void **state)
{
    (void)state;
    court *t = court_open();
    court_allocation(t, 1, ALLOCATION_LIVE, 0, 3, 3);
    court_holding(t, 1, 2, 0);
    court_step(t);
    court_wrong(t, "grant: A1 got 2 chunks, less than its least 3");
}

static void test_waiter_holds(void **state)
{
    (void)state;
    court *t = court_open();
    court_allocation(t, 1, ALLOCATION_WAITING, 0, 1, 1);
    court_holding(t, 1, 1, 0);
    court_step(t);
    court_wrong(t, "grant: A1 got chunks on a in state 1");
}

static void test_quota(void **state)
{
    (void)state;
    court *t = court_open();
    core_event e = {.kind = EVENT_CONFIG_USER};
    e.config_user = (event_config_user){.user = {1000}, .weight = 1, .quota = GIB(2)};
    court_event(t, e, 0);
    court_step(t);
    court_allocation(t, 1, ALLOCATION_LIVE, 0, 3, 3);
    court_holding(t, 1, 3, 0);
    court_step(t);
    court_wrong(t, "grant: user 1000 holds 3221225472 bytes after a grant to A1, more than the quota");
}

/* ---- lease ---- */

static void test_lost_chunks(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 1, 3, 0);
    court_event(t, (core_event){.kind = EVENT_TICK}, 0);
    court_holding(t, 1, 2, 0);
    court_step(t);
    court_wrong(t, "lease: A1 lost 1 of 3 chunks on a, and its owner, session 7, did not give them back (event 1 of "
                   "session 0, request 0)");
}

/* A request that comes again has no second effect. */
static void test_second_effect(void **state)
{
    (void)state;
    court *t = court_open();
    extent one = {.chunks = 1};
    court_live(t, 1, GIVES, 1, 3, 0);
    court_event(t, court_release(1, &one), 5);
    court_holding(t, 1, 2, 0);
    court_step(t);
    court_well(t);
    court_event(t, court_release(1, &one), 5);
    court_holding(t, 1, 1, 0);
    court_step(t);
    court_wrong(t, "lease: A1 lost 1 of 2 chunks on a, and its owner, session 7, did not give them back (event 20 of "
                   "session 7, request 5)");
}

/* ---- drained ---- */

static void test_debt_paid_by_nobody(void **state)
{
    (void)state;
    court *t = court_open();
    extent two = {.chunks = 2};
    court_live(t, 1, GIVES, 1, 3, 3);
    court_event(t, court_release(1, &two), 1);
    court_holding(t, 1, 1, 2);
    court_step(t);
    court_holding(t, 1, 1, 1);
    court_step(t);
    court_wrong(t, "drained: 1 chunks of A1 that returned on a became free, and only 0 chunks of its claims there "
                   "ended");
}

static void test_claim_over_while_used(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 0, 1, 1);
    court_process(t, 1, CHUNK, MIB(300));
    court_claim_over(t, 1);
    court_step(t);
    court_wrong(t, "drained: claim 1 of A1 (1 chunks) is over, and its group on a has 1 processes and 314572800 "
                   "bytes");
}

static void test_claim_smaller_than_its_limit(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 0, 2, 2);
    court_process(t, 1, 2 * CHUNK, MIB(300));
    court_claim(t, 1, 1, 1, CLAIM_OPEN, false);
    court_step(t);
    court_wrong(t, "drained: claim 1 of A1 on a got smaller, to 1073741824 bytes, and its group may still use "
                   "2147483648");
}

/* ---- one user, generations ---- */

static void test_claim_of_returning_chunks(void **state)
{
    (void)state;
    court *t = court_open();
    extent one = {.chunks = 1};
    court_live(t, 1, GIVES, 0, 2, 2);
    court_event(t, court_release(1, &one), 1);
    court_holding(t, 1, 1, 1);
    court_step(t);
    court_claim(t, 9, 1, 1, CLAIM_OPENING, false);
    court_holding(t, 1, 2, 1); /* it grew meanwhile */
    court_step(t);
    court_wrong(t, "one user: claim 9 of A1 on a got 1 chunks; with it 3 are in use and 2 held (1 return)");
}

static void test_two_claims_of_one_request(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 0, 3, 1);
    core_record r = {.kind = RECORD_CLAIM};
    r.claim = (record_claim){.gen = {2}, .allocation = {1}, .chunks = 1, .state = CLAIM_OPENING, .opener = {SESSION}};
    r.claim.opened_by.v = 1;
    judge_record(t->s.judges, &r);
    court_step(t);
    court_wrong(t, "answers: request 1 of session 7 made two claims, 1 and 2");
}

static void test_number_twice(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 5, GIVES, 0, 2, 1);
    court_claim_over(t, 5);
    court_step(t);
    court_claim(t, 5, 5, 1, CLAIM_OPENING, false);
    court_wrong(t, "generations: claim 5 of A5 on a has a number that was given out before (up to 5)");
}

/* Also when the journal forgot that it was. */
static void test_number_of_the_lost_tail(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 5, GIVES, 0, 2, 1);
    judge_lost_tail(t->s.judges, 1);
    judge_restarted(t->s.judges);
    court_allocation(t, 5, ALLOCATION_LIVE, GIVES, 0, 2);
    court_claim(t, 5, 5, 1, CLAIM_OPENING, false);
    court_wrong(t, "generations: claim 5 of A5 on a has a number that was given out before (up to 5)");
}

/* What no commit ever told was never given out. */
static void test_number_of_no_commit(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 0, 2, 0);
    court_claim(t, 5, 1, 1, CLAIM_OPENING, false);
    judge_stepped(t->s.judges);
    judge_restarted(t->s.judges);
    court_claim(t, 5, 1, 1, CLAIM_OPENING, false);
    court_step(t);
    court_well(t);
    court_close(t);
}

static void test_session_twice(void **state)
{
    (void)state;
    court *t = court_open();
    core_record r = {.kind = RECORD_SESSION_END, .session_end = {SESSION}};
    judge_record(t->s.judges, &r);
    court_step(t);
    court_session(t, SESSION);
    court_wrong(t, "generations: session 7 has a number that was given out before (up to 7)");
}

static void test_claim_of_another(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 0, 2, 0);
    court_live(t, 2, GIVES, 0, 2, 1);
    court_claim(t, 2, 1, 1, CLAIM_OPEN, false);
    court_step(t);
    court_wrong(t, "generations: claim 2 of A1 on a was one of A2 on a");
}

static void test_claim_opens_again(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 0, 2, 1);
    court_claim(t, 1, 1, 1, CLAIM_CLOSING, false);
    court_step(t);
    court_claim(t, 1, 1, 1, CLAIM_OPEN, false);
    court_step(t);
    court_wrong(t, "generations: claim 1 went back from state 3 to 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_wrong),
        cmocka_unit_test(test_bytes_claimed),
        cmocka_unit_test(test_bytes_debt),
        cmocka_unit_test(test_bytes_left_behind),
        cmocka_unit_test(test_bytes_claim_left_behind),
        cmocka_unit_test(test_end_of_nothing),
        cmocka_unit_test(test_overbooked),
        cmocka_unit_test(test_overbooked_returning),
        cmocka_unit_test(test_overbooked_foreign),
        cmocka_unit_test(test_overdraft_is_no_grant),
        cmocka_unit_test(test_silent_host),
        cmocka_unit_test(test_no_fresh_sample),
        cmocka_unit_test(test_draining_host),
        cmocka_unit_test(test_more_than_wanted),
        cmocka_unit_test(test_less_than_least),
        cmocka_unit_test(test_waiter_holds),
        cmocka_unit_test(test_quota),
        cmocka_unit_test(test_lost_chunks),
        cmocka_unit_test(test_second_effect),
        cmocka_unit_test(test_debt_paid_by_nobody),
        cmocka_unit_test(test_claim_over_while_used),
        cmocka_unit_test(test_claim_smaller_than_its_limit),
        cmocka_unit_test(test_claim_of_returning_chunks),
        cmocka_unit_test(test_two_claims_of_one_request),
        cmocka_unit_test(test_number_twice),
        cmocka_unit_test(test_number_of_the_lost_tail),
        cmocka_unit_test(test_number_of_no_commit),
        cmocka_unit_test(test_session_twice),
        cmocka_unit_test(test_claim_of_another),
        cmocka_unit_test(test_claim_opens_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
