/* cases_recall.c - recalls: answered, in parts, repeated, late, lost, withdrawn. */
#include "cases.h"

#include "base/status.h"

static void idle(stage *s)
{
    BEGIN(s);
    const recall *x = stage_recall(s, 2, ANY_HOST, NOTICE, 1);
    SOON(s, x->released == 2, RULE_RECALL_UNANSWERED, "2 chunks are idle, 2 are wanted back, %u were released",
         x->released);
    QUIET(s);
}

static void busy(stage *s)
{
    BEGIN(s);
    const recall *x = stage_recall(s, 1, ANY_HOST, NOTICE, 1);
    QUIET(s);
    stage_end_task(s, 0);
    SOON(s, x->released == 1, RULE_RECALL_UNANSWERED, "a task ended, a chunk is wanted back, none was released");
    QUIET(s);
    stage_end_task(s, 0);
    QUIET(s);
}

static void parts(stage *s)
{
    BEGIN(s);
    const recall *x = stage_recall(s, 2, ANY_HOST, NOTICE, 1);
    QUIET(s);
    for (uint32_t i = 1; i <= 2; i++) {
        stage_end_task(s, 0);
        SOON(s, x->released == i, RULE_RECALL_UNANSWERED, "%u tasks ended, 2 chunks are wanted back, %u released", i,
             x->released);
        QUIET(s);
    }
    stage_end_task(s, 0);
    QUIET(s);
}

static void mixed(stage *s)
{
    BEGIN(s);
    const recall *x = stage_recall(s, 2, ANY_HOST, NOTICE, 1);
    SOON(s, x->released == 1, RULE_RECALL_UNANSWERED, "of 2 chunks that are wanted back 1 is idle, and %u released",
         x->released);
    QUIET(s);
    stage_end_task(s, 0);
    SOON(s, x->released == 2, RULE_RECALL_UNANSWERED, "a task ended, and %u of 2 chunks are released", x->released);
    QUIET(s);
}

static void all(stage *s)
{
    BEGIN(s);
    recall *x = stage_recall(s, 3, ANY_HOST, NOTICE, 1);
    x->operator_made = true; /* people may ask for firm chunks too */
    QUIET(s);
    for (int i = 0; i < 3; i++) {
        stage_end_task(s, 0);
        QUIET(s);
    }
    SOON(s, x->released == 3, RULE_RECALL_UNANSWERED, "3 of 3 chunks are wanted back, %u released", x->released);
    stage_grow(s, 0, 1);
    UNTIL(s, stage_running(s) == 1, "begin a task when the allocation grew again");
}

static void overdue(stage *s)
{
    BEGIN(s);
    const recall *x = stage_recall(s, 1, ANY_HOST, 1, 1);
    QUIET(s);
    QUIET(s);
    stage_end_task(s, 0);
    SOON(s, x->released == 1, RULE_RECALL_UNANSWERED, "an overdue recall is still open: no release");
    QUIET(s);
}

static void repeated(stage *s)
{
    BEGIN(s);
    recall *x = stage_recall(s, 1, ANY_HOST, NOTICE, 2);
    SOON(s, x->released == 1, RULE_RECALL_UNANSWERED, "an idle chunk is wanted back, and not released");
    QUIET(s);
    stage_tell_recall(s, x, NOTICE); /* late: it was answered */
    QUIET(s);
}

static void repeated_busy(stage *s)
{
    BEGIN(s);
    recall *x = stage_recall(s, 1, ANY_HOST, NOTICE, 1);
    QUIET(s);
    stage_tell_recall(s, x, NOTICE);
    QUIET(s);
    stage_end_task(s, 0);
    SOON(s, x->released == 1, RULE_RECALL_UNANSWERED, "a task ended, a chunk is wanted back, none was released");
    QUIET(s);
    stage_tell_recall(s, x, NOTICE);
    stage_end_task(s, 0);
    QUIET(s);
    stage_end_task(s, 0);
    QUIET(s);
}

static void lost(stage *s)
{
    BEGIN(s);
    recall *x = stage_recall(s, 1, ANY_HOST, NOTICE, 0);
    stage_end_task(s, 0);
    QUIET(s);
    stage_withdraw(s, x, true);
    stage_prefer(s, x, 0, 1);
    QUIET(s);
    stage_end_task(s, 0);
    QUIET(s);
}

static void withdrawn(stage *s)
{
    BEGIN(s);
    recall *x = stage_recall(s, 2, ANY_HOST, NOTICE, 1);
    QUIET(s);
    stage_withdraw(s, x, true);
    QUIET(s);
    for (int i = 0; i < 3; i++) {
        stage_end_task(s, 0);
        QUIET(s);
    }
    if (x->released > 0)
        return;
    UNTIL(s, stage_running(s) == 3, "begin tasks again when the recall was withdrawn");
}

static void withdrawn_twice(stage *s)
{
    BEGIN(s);
    recall *x = stage_recall(s, 1, ANY_HOST, NOTICE, 1);
    QUIET(s);
    stage_withdraw(s, x, true);
    stage_withdraw(s, x, true);
    stage_tell_recall(s, x, NOTICE); /* the recall comes once more, behind its withdrawal */
    QUIET(s);
    stage_end_task(s, 0);
    QUIET(s);
}

static void withdraw_first(stage *s)
{
    BEGIN(s);
    recall *x = stage_recall(s, 1, ANY_HOST, NOTICE, 0);
    stage_withdraw(s, x, true);
    x->unwanted = NEVER_KNOWN;
    x->late_told = false; /* it did not know the recall: it may answer it */
    stage_tell_recall(s, x, NOTICE);
    QUIET(s);
    stage_end_task(s, 0);
    QUIET(s);
}

static void withdraw_crosses(stage *s)
{
    BEGIN(s);
    recall *x = stage_recall(s, 1, ANY_HOST, NOTICE, 1);
    QUIET(s);
    s->withhold = MASK(RELEASE) | MASK(RELEASE_N);
    stage_end_task(s, 0);
    QUIET(s);
    stage_withdraw(s, x, true);
    QUIET(s);
    stage_let_go(s, false);
    QUIET(s);
    stage_grow(s, 0, 1);
    UNTIL(s, stage_running(s) == 3, "begin a task when the allocation grew again");
}

static void part_withdrawn(stage *s)
{
    BEGIN(s);
    recall *x = stage_recall(s, 2, ANY_HOST, NOTICE, 1);
    QUIET(s);
    stage_end_task(s, 0);
    SOON(s, x->released == 1, RULE_RECALL_UNANSWERED, "a task ended, 2 chunks are wanted back, none was released");
    QUIET(s);
    stage_withdraw(s, x, true);
    QUIET(s);
    stage_end_task(s, 0);
    QUIET(s);
}

static void two_at_once(stage *s)
{
    BEGIN(s);
    const recall *x = stage_recall(s, 1, ANY_HOST, NOTICE, 1), *y = stage_recall(s, 1, ANY_HOST, NOTICE, 1);
    QUIET(s);
    stage_end_task(s, 0);
    SOON(s, x->released + y->released == 1, RULE_RECALL_UNANSWERED,
         "a task ended, 2 recalls are open, none was answered");
    QUIET(s);
    stage_end_task(s, 0);
    SOON(s, x->released == 1 && y->released == 1, RULE_RECALL_UNANSWERED,
         "of 2 recalls for a chunk each %u and %u were given", x->released, y->released);
    QUIET(s);
}

static void one_of_two_withdrawn(stage *s)
{
    BEGIN(s);
    recall *x = stage_recall(s, 1, ANY_HOST, NOTICE, 1);
    const recall *y = stage_recall(s, 1, ANY_HOST, NOTICE, 1);
    QUIET(s);
    stage_withdraw(s, x, true);
    QUIET(s);
    stage_end_task(s, 0);
    SOON(s, y->released == 1, RULE_RECALL_UNANSWERED, "one of 2 recalls was withdrawn; the other was not answered");
    QUIET(s);
    stage_end_task(s, 0);
    QUIET(s);
}

static void many(stage *s)
{
    BEGIN(s);
    for (int i = 0; i < 6; i++)
        stage_recall(s, 1, ANY_HOST, NOTICE, 1);
    QUIET(s);
    for (int i = 0; i < 8; i++) {
        stage_end_task(s, 0);
        QUIET(s);
    }
    SOON(s, books_held(&s->books) == 2, RULE_RECALL_UNANSWERED, "6 recalls for a chunk each leave %u of 8 held",
         books_held(&s->books));
}

static void without_answers(stage *s)
{
    s->withhold = MASK(OFFER);
    BEGIN(s);
    stage_ask(s, ALLOCATION, 2);
    const recall *x = stage_recall(s, 1, ANY_HOST, NOTICE, 1);
    QUIET(s);
    stage_end_task(s, 0);
    SOON(s, x->released == 1, RULE_RECALL_UNANSWERED, "while an OFFER has no answer, nothing was released");
    QUIET(s);
}

static const script scripts[] = {
    {"recall-idle", "wants idle chunks back", idle, {1, 3, 1, {3}}, END_DONE},
    {"recall-busy", "wants a chunk back while all are busy", busy, {1, 3, 8, {3}}, END_DONE},
    {"recall-parts", "wants two chunks back, which become free one after the other", parts, {1, 3, 8, {3}}, END_DONE},
    {"recall-mixed", "wants an idle chunk and a busy one back", mixed, {1, 3, 2, {3}}, END_DONE},
    {"recall-all", "wants everything back, firm chunks too, as people may", all, {1, 3, 8, {3}}, END_DONE},
    {"recall-overdue", "the deadline of a recall passes", overdue, {1, 2, 6, {2}}, END_DONE},
    {"recall-repeated", "tells a recall three times, idle chunks", repeated, {1, 3, 1, {3}}, END_DONE},
    {"recall-repeated-busy", "tells a recall three times, busy chunks", repeated_busy, {1, 3, 10, {3}}, END_DONE},
    {"recall-lost", "a recall is lost, its preference and withdrawal arrive", lost, {1, 2, 6, {2}}, END_DONE},
    {"recall-withdrawn", "withdraws a recall before a task ended", withdrawn, {1, 3, 9, {3}}, END_DONE},
    {"recall-withdrawn-twice",
     "withdraws a recall twice, then tells it once more",
     withdrawn_twice,
     {1, 2, 6, {2}},
     END_DONE},
    {"withdraw-first", "the withdrawal arrives before its recall", withdraw_first, {1, 2, 6, {2}}, END_DONE},
    {"withdraw-crosses", "a withdrawal crosses the release", withdraw_crosses, {1, 3, 9, {3}}, END_DONE},
    {"recall-part-withdrawn", "withdraws what is left of a recall", part_withdrawn, {1, 3, 9, {3}}, END_DONE},
    {"two-recalls", "two recalls side by side", two_at_once, {1, 3, 9, {3}}, END_DONE},
    {"one-of-two-withdrawn", "two recalls, of which one is withdrawn", one_of_two_withdrawn, {1, 3, 9, {3}}, END_DONE},
    {"many-recalls", "six recalls at once", many, {1, 8, 20, {8}}, END_DONE},
    {"offers-unanswered", "no OFFER is answered in time", without_answers, {1, 2, 6, {2}}, END_DONE},
};

const script_list recall_scripts = {scripts, sizeof scripts / sizeof *scripts};
