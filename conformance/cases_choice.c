/* cases_choice.c - which chunks go: hosts, preferences, offers. */
#include "cases.h"

#include "base/status.h"

static void other_host(stage *s)
{
    BEGIN(s);
    const recall *x = stage_recall(s, 1, 1, NOTICE, 1);
    QUIET(s);
    if (board_count(&s->board, 1) > 0)
        stage_end_task(s, 1);
    SOON(s, x->released == 1, RULE_RECALL_UNANSWERED, "a chunk of host 1 is free and wanted back; none was released");
    QUIET(s);
}

static void own_host(stage *s)
{
    BEGIN(s);
    const recall *x = stage_recall(s, 1, 0, NOTICE, 1);
    QUIET(s);
    stage_end_task(s, 0);
    SOON(s, x->released == 1, RULE_RECALL_UNANSWERED,
         "a task on host 0 ended, a chunk there is wanted; none was released");
    QUIET(s);
}

static void unheld_host(stage *s)
{
    BEGIN(s);
    recall *x = stage_recall(s, 1, 2, NOTICE, 1);
    QUIET(s);
    stage_end_task(s, 0);
    QUIET(s);
    stage_withdraw(s, x, true);
    QUIET(s);
}

static void preferred(stage *s)
{
    BEGIN(s);
    if (board_count(&s->board, 1) == 0) {
        report_skip(&s->report,
                    "it runs tasks on its own host alone, so idle chunks go before anything can be preferred");
        return;
    }
    recall *x = stage_recall(s, 1, ANY_HOST, NOTICE, 1);
    QUIET(s);
    stage_prefer(s, x, 1, 1);
    QUIET(s);
    stage_end_task(s, 0);
    QUIET(s);
    stage_end_task(s, 1);
    SOON(s, x->released == 1, RULE_RECALL_UNANSWERED, "the preferred chunk is free, and was not released");
    QUIET(s);
}

static void preferred_too_late(stage *s)
{
    BEGIN(s);
    recall *x = stage_recall(s, 1, ANY_HOST, NOTICE, 1);
    QUIET(s);
    stage_end_task(s, 0);
    QUIET(s);
    x->prefer_known = NEVER_KNOWN;
    stage_prefer(s, x, 0, 5);
    stage_prefer(s, x, 0, 5);
    x->prefer_told = false;
    QUIET(s);
    stage_end_task(s, 0);
    QUIET(s);
}

static void preferred_first(stage *s)
{
    BEGIN(s);
    recall *x = stage_recall(s, 1, ANY_HOST, NOTICE, 0);
    stage_prefer(s, x, 0, 1);
    stage_tell_recall(s, x, NOTICE);
    QUIET(s);
    stage_end_task(s, 0);
    SOON(s, x->released == 1, RULE_RECALL_UNANSWERED, "a task ended, a chunk is wanted back, none was released");
    QUIET(s);
}

static void asked(stage *s)
{
    BEGIN(s);
    stage_ask(s, ALLOCATION, 1);
    QUIET(s);
    stage_ask(s, ALLOCATION, 100);
    stage_ask(s, ALLOCATION, 2);
    QUIET(s);
    stage_end_task(s, 0);
    stage_ask(s, ALLOCATION, 2);
    QUIET(s);
}

static void asked_twice(stage *s)
{
    BEGIN(s);
    s->withhold = MASK(OFFER);
    stage_ask(s, ALLOCATION, 1);
    stage_ask(s, ALLOCATION, 1);
    QUIET(s);
    stage_end_task(s, 0);
    stage_ask(s, ALLOCATION, 1);
    QUIET(s);
    stage_let_go(s, true);
    QUIET(s);
}

static void offer_over(stage *s)
{
    BEGIN(s);
    recall *x = stage_recall(s, 1, ANY_HOST, NOTICE, 1);
    stage_withdraw(s, x, false); /* the withdrawal is lost; an offer is told that it is over */
    QUIET(s);
    stage_ask(s, ALLOCATION, 1);
    QUIET(s);
    stage_end_task(s, 0);
    QUIET(s);
}

static void offered_again(stage *s)
{
    BEGIN(s);
    stage_end_task(s, 0);
    UNTIL(s, stage_running(s) == 3, "begin the next task when one had ended");
    stage_recall(s, 2, ANY_HOST, NOTICE, 1);
    QUIET(s);
    if (s->offers == 0) {
        report_skip(&s->report, "it offers nothing");
        return;
    }
    uint64_t before = s->offers;
    stage_end_task(s, 0);
    SOON(s, s->offers > before, RULE_OFFER_AGAIN, "a task ended while a recall was open, and no offer followed");
    QUIET(s);
}

static const script scripts[] = {
    {"recall-other-host", "wants a chunk of another host back", other_host, {1, 4, 10, {2, 2}}, END_DONE},
    {"recall-own-host",
     "wants a chunk of the client's own host back while others lie idle elsewhere",
     own_host,
     {1, 4, 10, {2, 2}},
     END_DONE},
    {"recall-unheld-host", "wants a chunk of a host where none is held", unheld_host, {1, 2, 6, {2}}, END_DONE},
    {"preference", "prefers the chunk of one host over another's", preferred, {1, 4, 12, {2, 2}}, END_DONE},
    {"preference-late", "prefers what was given already", preferred_too_late, {1, 2, 6, {2}}, END_DONE},
    {"preference-first", "the preference arrives before its recall", preferred_first, {1, 2, 6, {2}}, END_DONE},
    {"asked", "asks how soon chunks could be given: busy, more than are held, idle", asked, {1, 3, 5, {3}}, END_DONE},
    {"asked-twice", "asks twice, and answers the offers late", asked_twice, {1, 2, 5, {2}}, END_DONE},
    {"offer-over", "a recall is over, and only the answer to an OFFER tells", offer_over, {1, 2, 6, {2}}, END_DONE},
    {"offer-again", "a task ends while a recall is open", offered_again, {1, 3, 9, {3}}, END_DONE},
};

const script_list choice_scripts = {scripts, sizeof scripts / sizeof *scripts};
