/* Each rule of the judges on recalls, messages, kills, machines and the end: a history that breaks it, and the
 * sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "court.h"

#define GIVES (TERM_GROWABLE | TERM_RECALLABLE)

/* ---- firm, outcomes ---- */

static void test_recall_below_least(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 2, 3, 0);
    court_put(t, court_recall(1, 1, 2));
    court_step(t);
    court_wrong(t, "firm: open recalls ask A1 for 2 of 3 chunks, of which 2 are firm");
}

static void test_recall_of_a_firm_one(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, 0, 1, 3, 0);
    court_put(t, court_recall(1, 1, 2));
    court_step(t);
    court_wrong(t, "firm: recall 1 asks A1 for 2 chunks, and all of it is firm");
}

static void test_operator_asks_for_more(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 3, 3, 0);
    record_recall r = court_recall(1, 1, 4);
    r.reason = RECALL_FOR_OPERATOR;
    court_put(t, r);
    court_step(t);
    court_wrong(t, "firm: the operator's recalls ask A1 for 4 of 3 chunks");
}

static void open_recall(court *t, uint32_t flags)
{
    court_live(t, 1, GIVES | flags, 1, 3, 0);
    court_put(t, court_recall(1, 1, 2));
    court_step(t);
    court_well(t);
}

static void test_recall_over_too_soon(void **state)
{
    (void)state;
    court *t = court_open();
    open_recall(t, 0);
    court_recall_over(t, 1);
    court_step(t);
    court_wrong(t, "outcomes: recall 1 of A1 is over with 0 released + 0 withdrawn + 0 revoked of 2");
}

static void test_recall_counts_too_many(void **state)
{
    (void)state;
    court *t = court_open();
    open_recall(t, 0);
    record_recall r = court_recall(1, 1, 2);
    r.withdrawn = 3;
    court_put(t, r);
    court_step(t);
    court_wrong(t, "outcomes: recall 1 of A1 asked for 2 chunks and counts 3");
}

static void test_recall_count_falls(void **state)
{
    (void)state;
    court *t = court_open();
    open_recall(t, 0);
    record_recall r = court_recall(1, 1, 2);
    r.withdrawn = 1;
    court_put(t, r);
    court_step(t);
    court_put(t, court_recall(1, 1, 2));
    court_step(t);
    court_wrong(t, "outcomes: a count of recall 1 fell: 0 + 1 + 0 to 0 + 0 + 0");
}

static void test_recall_changes(void **state)
{
    (void)state;
    court *t = court_open();
    open_recall(t, 0);
    court_put(t, court_recall(1, 1, 1));
    court_step(t);
    court_wrong(t, "outcomes: recall 1 changed: 1 of A1 on a was 2 of A1");
}

static void test_recall_counts_what_nobody_gave(void **state)
{
    (void)state;
    court *t = court_open();
    open_recall(t, 0);
    record_recall r = court_recall(1, 1, 2);
    r.released = 1;
    court_put(t, r);
    court_step(t);
    court_wrong(t, "outcomes: recalls of A1 count 1 chunks as given in one step, and it lost 0");
}

/* ---- kills ---- */

static void revoke_one(court *t)
{
    record_recall r = court_recall(1, 1, 2);
    r.revoked = 1;
    court_put(t, r);
    court_holding(t, 1, 2, 0);
    court_step(t);
}

static void test_revoked_though_not_revocable(void **state)
{
    (void)state;
    court *t = court_open();
    open_recall(t, 0);
    court_pass(t, 2000);
    record_recall r = court_recall(1, 1, 2);
    r.revoked = 1;
    court_put(t, r);
    court_event(t, court_release(1, NULL), 1);
    court_holding(t, 1, 2, 0);
    court_step(t);
    court_wrong(t, "kills: 1 chunks of A1 were taken by recall 1, and it is not revocable");
}

static void test_revoked_before_its_notice(void **state)
{
    (void)state;
    court *t = court_open();
    open_recall(t, TERM_REVOCABLE);
    court_pass(t, 600);
    revoke_one(t);
    court_wrong(t, "kills: 1 chunks of A1 were taken by recall 1 after 600 ms; its notice is 1000 ms");
}

static void test_revoked_after_its_notice(void **state)
{
    (void)state;
    court *t = court_open();
    open_recall(t, TERM_REVOCABLE);
    court_pass(t, 1000);
    revoke_one(t);
    court_well(t);
    court_close(t);
}

static void test_claim_to_be_killed(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 1, 3, 1);
    court_claim(t, 1, 1, 1, CLAIM_CLOSING, true);
    court_step(t);
    court_wrong(t, "kills: claim 1 of A1 on a is to be killed: its owner, session 7, did not ask for it, and nothing "
                   "was taken by force");
}

static void test_claim_killed_by_its_owner(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 1, 3, 1);
    court_event(t, (core_event){.kind = EVENT_CLOSE, .close = {.gen = {1}, .kill = true}}, 1);
    court_claim(t, 1, 1, 1, CLAIM_CLOSING, true);
    court_step(t);
    court_well(t);
    court_close(t);
}

static void test_claim_not_to_be_killed_any_more(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 1, 3, 1);
    court_event(t, (core_event){.kind = EVENT_CLOSE, .close = {.gen = {1}, .kill = true}}, 1);
    court_claim(t, 1, 1, 1, CLAIM_CLOSING, true);
    court_step(t);
    court_claim(t, 1, 1, 1, CLAIM_CLOSING, false);
    court_step(t);
    court_wrong(t, "kills: claim 1 was to be killed, and is not any more");
}

static void test_agent_kills_unasked(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 1, 3, 1);
    int32_t pid = court_process(t, 1, CHUNK, MIB(10));
    machine_kill(t->m, pid, "agent");
    court_wrong(t, "kills: the agent of a kills process 10000000 of claim 1, and nobody told it to");
}

static void test_agent_kills_a_stranger(void **state)
{
    (void)state;
    court *t = court_open();
    int32_t pid = machine_start(t->m, 1000, &(process_plan){.life = US_NEVER}, NULL, NULL);
    machine_kill(t->m, pid, "agent");
    court_wrong(t, "kills: the agent of a kills process 10000000, which is in no claim (group 0)");
}

static void test_limit_below_its_chunks(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 1, 3, 2);
    court_process(t, 1, MIB(500), MIB(600));
    court_wrong(t, "kills: process 10000000 of claim 1 on a dies at a limit of 524288000; A1 has 2 chunks of "
                   "1073741824 for it");
}

static void order(court *t, effect_order o)
{
    court_sent(t, &(message){.kind = MESSAGE_ORDER, .order = o});
}

static void test_order_to_kill(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 1, 3, 1);
    order(t, (effect_order){.kind = ORDER_END, .gen = {1}, .kill = true});
    court_wrong(t, "kills: pool 0 is told to kill claim 1 of A1, and the journal does not say so");
}

/* ---- before ---- */

static void test_sent_before_the_commit(void **state)
{
    (void)state;
    court *t = court_open();
    court_allocation(t, 1, ALLOCATION_WAITING, 0, 1, 1);
    judge_stepped(t->s.judges);
    court_sent(t, &(message){.kind = MESSAGE_REPLY});
    court_wrong(t, "before: message 5 leaves for pool 0 while 2 records are in no commit");
}

static void test_order_about_what_no_commit_knows(void **state)
{
    (void)state;
    court *t = court_open();
    order(t, (effect_order){.kind = ORDER_OPEN, .gen = {3}});
    court_wrong(t, "before: pool 0 is ordered (4) about claim 3; the journal knows up to 0");
}

static void test_group_removed_too_soon(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 1, 3, 1);
    order(t, (effect_order){.kind = ORDER_CLOSE, .gen = {1}});
    court_wrong(t, "before: pool 0 is told to remove the group of claim 1 of A1, which is in the journal");
}

static void push_set(court *t, uint64_t version, chunks_t chunks)
{
    extent e = {.chunks = chunks};
    message m = {.kind = MESSAGE_PUSH, .push = {.push = {.kind = PUSH_CHANGED, .allocation = {1}}}};
    m.push.set = (message_set){
        .id = {1}, .version = version, .state = ALLOCATION_LIVE, .want = 3, .n_extents = 1, .extents = &e};
    court_sent(t, &m);
}

static void test_version_of_the_future(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 1, 3, 0);
    push_set(t, t->version + 1, 3);
    court_wrong(t, "before: pool 0 is told version 2 of A1; the journal knows up to 1");
}

static void test_recall_that_no_commit_knows(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 1, 3, 0);
    message m = {.kind = MESSAGE_PUSH};
    m.push.push = (effect_push){.kind = PUSH_RECALL, .allocation = {1}, .recall = {4}, .count = 1};
    court_sent(t, &m);
    court_wrong(t, "before: pool 0 is told of recall 4, which the journal does not know");
}

static void test_recall_told_larger(void **state)
{
    (void)state;
    court *t = court_open();
    open_recall(t, 0);
    message m = {.kind = MESSAGE_PUSH};
    m.push.push = (effect_push){.kind = PUSH_RECALL, .allocation = {1}, .recall = {1}, .count = 3};
    court_sent(t, &m);
    court_wrong(t, "outcomes: pool 0 is asked for 3 chunks of A1 by recall 1; by the journal for 2 of A1");
}

/* ---- lease ---- */

static void test_told_of_more(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 1, 3, 0);
    push_set(t, t->version, 4);
    court_wrong(t, "lease: pool 0 is told of 4 chunks of A1 on a; by the journal it is 3");
}

static void test_welcomed_without_his_own(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 1, 3, 0);
    court_sent(t, &(message){.kind = MESSAGE_WELCOME, .welcome = {.session = SESSION, .reattached = true}});
    court_wrong(t, "lease: pool 0 attached again to session 7 and is not told of its A1");
}

static void test_welcomed_to_no_session(void **state)
{
    (void)state;
    court *t = court_open();
    court_sent(t, &(message){.kind = MESSAGE_WELCOME, .welcome = {.session = 8}});
    court_wrong(t, "before: pool 0 is welcomed to session 8, which the journal does not know");
}

/* ---- answers ---- */

static void answer(court *t, uint64_t number, int status, chunks_t chunks)
{
    message m = {.kind = MESSAGE_REPLY};
    m.reply.reply = (effect_reply){.session = {SESSION}, .number = {number}, .status = status, .chunks = chunks};
    court_sent(t, &m);
}

static void test_two_answers(void **state)
{
    (void)state;
    court *t = court_open();
    extent one = {.chunks = 1};
    court_event(t, court_release(1, &one), 3);
    court_step(t);
    answer(t, 3, STATUS_OK, 1);
    answer(t, 3, STATUS_OK, 1);
    court_well(t);
    answer(t, 3, STATUS_STATE, 0);
    court_wrong(t, "answers: request 3 of session 7 (pool 0) was answered OK, A0, claim 0, 1 chunks; now STATE, A0, "
                   "claim 0, 0 chunks");
}

/* Also of a broker that was started again. */
static void test_two_answers_of_two_lives(void **state)
{
    (void)state;
    court *t = court_open();
    extent one = {.chunks = 1};
    court_event(t, court_release(1, &one), 3);
    court_step(t);
    answer(t, 3, STATUS_OK, 1);
    judge_restarted(t->s.judges);
    answer(t, 3, STATUS_OK, 2);
    court_wrong(t, "answers: request 3 of session 7 (pool 0) was answered OK, A0, claim 0, 1 chunks; now OK, A0, claim "
                   "0, 2 chunks");
}

/* ---- one user: machines ---- */

static void test_group_that_no_record_names(void **state)
{
    (void)state;
    court *t = court_open();
    court_process(t, 5, CHUNK, MIB(10));
    judge_look(t->s.judges);
    court_wrong(t, "one user: a has a group of claim 5, which no record ever named");
}

static void test_group_that_may_use_more(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 1, 3, 1);
    court_process(t, 1, 3 * CHUNK, MIB(10));
    judge_look(t->s.judges);
    court_wrong(t, "one user: claim 1 of A1 on a stands for 1073741824 bytes, and may use 3221225472");
}

static void test_used_after_its_end(void **state)
{
    (void)state;
    court *t = court_open();
    court_live(t, 1, GIVES, 1, 3, 1);
    court_claim_over(t, 1);
    court_step(t);
    court_process(t, 1, CHUNK, MIB(10));
    judge_look(t->s.judges);
    court_wrong(t, "one user: claim 1 is over, and 1 processes with 10485760 bytes are in it on a");
}

static void test_pool_that_miscounts(void **state)
{
    (void)state;
    court *t = court_open();
    t->s.n_clients = 1;
    others.client_miscounts = true;
    judge_look(t->s.judges);
    court_wrong(t, "pool: pool 0: the sums contradict each other");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recall_below_least),
        cmocka_unit_test(test_recall_of_a_firm_one),
        cmocka_unit_test(test_operator_asks_for_more),
        cmocka_unit_test(test_recall_over_too_soon),
        cmocka_unit_test(test_recall_counts_too_many),
        cmocka_unit_test(test_recall_count_falls),
        cmocka_unit_test(test_recall_changes),
        cmocka_unit_test(test_recall_counts_what_nobody_gave),
        cmocka_unit_test(test_revoked_though_not_revocable),
        cmocka_unit_test(test_revoked_before_its_notice),
        cmocka_unit_test(test_revoked_after_its_notice),
        cmocka_unit_test(test_claim_to_be_killed),
        cmocka_unit_test(test_claim_killed_by_its_owner),
        cmocka_unit_test(test_claim_not_to_be_killed_any_more),
        cmocka_unit_test(test_agent_kills_unasked),
        cmocka_unit_test(test_agent_kills_a_stranger),
        cmocka_unit_test(test_limit_below_its_chunks),
        cmocka_unit_test(test_order_to_kill),
        cmocka_unit_test(test_sent_before_the_commit),
        cmocka_unit_test(test_order_about_what_no_commit_knows),
        cmocka_unit_test(test_group_removed_too_soon),
        cmocka_unit_test(test_version_of_the_future),
        cmocka_unit_test(test_recall_that_no_commit_knows),
        cmocka_unit_test(test_recall_told_larger),
        cmocka_unit_test(test_told_of_more),
        cmocka_unit_test(test_welcomed_without_his_own),
        cmocka_unit_test(test_welcomed_to_no_session),
        cmocka_unit_test(test_two_answers),
        cmocka_unit_test(test_two_answers_of_two_lives),
        cmocka_unit_test(test_group_that_no_record_names),
        cmocka_unit_test(test_group_that_may_use_more),
        cmocka_unit_test(test_used_after_its_end),
        cmocka_unit_test(test_pool_that_miscounts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
