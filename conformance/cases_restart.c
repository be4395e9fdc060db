/* cases_restart.c - the connection breaks: what was on its way is lost, the client attaches again, nothing is given
 * twice. */
#include "cases.h"

#include <stdlib.h>
#include <string.h>

#include "base/status.h"

#define REATTACH(s)                                                                                                    \
    do {                                                                                                               \
        if (!stage_reattach(s))                                                                                        \
            return;                                                                                                    \
        stage_judge_resent(s);                                                                                         \
    } while (0)

static void calm(stage *s)
{
    BEGIN(s);
    REATTACH(s);
    stage_end_task(s, 0);
    QUIET(s);
    UNTIL(s, stage_running(s) == 2, "go on after a reattach");
}

static void away(stage *s)
{
    BEGIN(s);
    stage_break(s);
    stage_end_task(s, 0);
    QUIET(s);
    REATTACH(s);
    QUIET(s);
}

static void twice(stage *s)
{
    BEGIN(s);
    s->hold_welcome = true;
    if (!stage_reattach(s))
        return;
    s->hold_welcome = false;
    REATTACH(s);
    REATTACH(s);
    stage_end_task(s, 0);
    QUIET(s);
}

static void allocate_lost(stage *s)
{
    s->lose = MASK(ALLOCATE);
    if (stage_start(s, &s->setup) < 0)
        s->stopped = true;
    UNTIL(s, s->session.n > 0, "ask for an allocation");
    s->lose = 0;
    REATTACH(s);
    UNTIL(s, stage_running(s) == 2, "begin tasks when its request was sent again");
}

static void allocate_answer_lost(stage *s)
{
    s->withhold = MASK(ALLOCATE);
    if (stage_start(s, &s->setup) < 0)
        s->stopped = true;
    UNTIL(s, s->allocates > 0, "ask for an allocation");
    s->withhold = 0;
    REATTACH(s);
    UNTIL(s, stage_running(s) == 2, "begin tasks when its request was answered at last");
}

static void release_lost(stage *s)
{
    BEGIN(s);
    const recall *x = stage_recall(s, 2, ANY_HOST, NOTICE, 1);
    QUIET(s);
    s->lose = MASK(RELEASE) | MASK(RELEASE_N);
    stage_end_task(s, 0);
    QUIET(s);
    s->lose = 0;
    REATTACH(s);
    SOON(s, x->released == 1, RULE_RECALL_UNANSWERED, "a release was lost, and did not come again");
    QUIET(s);
    stage_end_task(s, 0);
    SOON(s, x->released == 2, RULE_RECALL_UNANSWERED, "2 tasks ended, 2 chunks are wanted back, %u were released",
         x->released);
    QUIET(s);
    stage_end_task(s, 0);
    QUIET(s);
}

static void release_answer_lost(stage *s)
{
    BEGIN(s);
    const recall *x = stage_recall(s, 2, ANY_HOST, NOTICE, 1);
    QUIET(s);
    s->withhold = MASK(RELEASE) | MASK(RELEASE_N);
    stage_end_task(s, 0);
    SOON(s, x->released == 1, RULE_RECALL_UNANSWERED, "a task ended, 2 chunks are wanted back, none was released");
    QUIET(s);
    s->withhold = 0;
    REATTACH(s);
    stage_end_task(s, 0);
    SOON(s, x->released == 2, RULE_RECALL_UNANSWERED, "2 tasks ended, 2 chunks are wanted back, %u were released",
         x->released);
    QUIET(s);
    stage_end_task(s, 0);
    QUIET(s);
}

static void everything_lost(stage *s)
{
    BEGIN(s);
    const recall *x = stage_recall(s, 2, ANY_HOST, NOTICE, 1);
    QUIET(s);
    s->lose = ALL_TYPES;
    stage_ask(s, ALLOCATION, 1);
    stage_end_task(s, 0);
    stage_end_task(s, 0);
    QUIET(s);
    s->lose = 0;
    REATTACH(s);
    SOON(s, x->released == 2, RULE_RECALL_UNANSWERED, "2 tasks ended, 2 chunks are wanted back, %u were released",
         x->released);
    QUIET(s);
    stage_end_task(s, 0);
    QUIET(s);
}

static void answers_lost(stage *s)
{
    BEGIN(s);
    const recall *x = stage_recall(s, 1, ANY_HOST, NOTICE, 1);
    QUIET(s);
    s->withhold = ALL_TYPES;
    stage_ask(s, ALLOCATION, 1);
    stage_end_task(s, 0);
    SOON(s, x->released == 1, RULE_RECALL_UNANSWERED, "a task ended, a chunk is wanted back, none was released");
    stage_end_task(s, 0);
    QUIET(s);
    s->withhold = 0;
    REATTACH(s);
    stage_end_task(s, 0);
    QUIET(s);
    UNTIL(s, stage_running(s) == 2, "go on after a reattach");
}

static void told_anew(stage *s)
{
    BEGIN(s);
    const recall *x = stage_recall(s, 2, ANY_HOST, NOTICE, 1);
    QUIET(s);
    stage_end_task(s, 0);
    SOON(s, x->released == 1, RULE_RECALL_UNANSWERED, "a task ended, 2 chunks are wanted back, none was released");
    QUIET(s);
    REATTACH(s);
    stage_end_task(s, 0);
    SOON(s, x->released == 2, RULE_RECALL_UNANSWERED,
         "a recall was told anew after a reattach, and not answered to its end");
    QUIET(s);
    stage_end_task(s, 0);
    QUIET(s);
}

static void heard_first(stage *s)
{
    BEGIN(s);
    stage_break(s);
    const recall *x = stage_recall(s, 1, ANY_HOST, NOTICE, 0);
    REATTACH(s);
    stage_end_task(s, 0);
    SOON(s, x->released == 1, RULE_RECALL_UNANSWERED, "a recall was first told by WELCOME, and not answered");
    QUIET(s);
}

static void over_meanwhile(stage *s)
{
    BEGIN(s);
    recall *x = stage_recall(s, 2, ANY_HOST, NOTICE, 1);
    QUIET(s);
    stage_break(s);
    stage_withdraw(s, x, false);
    REATTACH(s);
    stage_end_task(s, 0);
    QUIET(s);
    stage_end_task(s, 0);
    QUIET(s);
}

static void half_a_frame(stage *s)
{
    BEGIN(s);
    Granary__Recall m = GRANARY__RECALL__INIT;
    size_t n;
    recall *x = stage_recall(s, 1, ANY_HOST, NOTICE, 0);
    m.recall = x->id;
    m.allocation = ALLOCATION;
    m.count = 1;
    m.any_host = true;
    uint8_t *bytes = wire_pack(TYPE(RECALL), ++s->wire.pushes, &m.base, NULL, 0, &n);
    if (bytes)
        wire_write(&s->wire, bytes, n - 3);
    free(bytes);
    QUIET(s);
    x->known = NEVER_KNOWN;
    REATTACH(s);
    stage_end_task(s, 0);
    SOON(s, x->released == 1, RULE_RECALL_UNANSWERED, "a recall was told anew after a reattach, and not answered");
    QUIET(s);
}

static void grown_meanwhile(stage *s)
{
    BEGIN(s);
    stage_break(s);
    s->books.held[0] += 1;
    s->books.version += 5;
    REATTACH(s);
    UNTIL(s, stage_running(s) == 3, "use the chunk that WELCOME told of");
    QUIET(s);
    stage_end_task(s, 0);
    QUIET(s);
}

static void ended_meanwhile(stage *s)
{
    BEGIN(s);
    stage_break(s);
    memset(s->books.held, 0, sizeof s->books.held);
    for (uint32_t i = 0; i < s->books.n_claims; i++)
        s->books.claims[i].open = false;
    s->books.state = BOOKS_GONE;
    REATTACH(s);
    stage_end_all(s);
    UNTIL(s, s->subject.ended, "end, though its allocation had ended");
}

static void session_over(stage *s)
{
    BEGIN(s);
    s->forget = true;
    if (!stage_reattach(s))
        return;
    stage_end_all(s);
    if (!stage_quiet(s) || s->allocates < 2)
        return;
    s->end = END_DONE; /* it began anew */
}

static void at_the_end(stage *s)
{
    BEGIN(s);
    s->lose = MASK(RELEASE) | MASK(RELEASE_N) | MASK(WANT) | MASK(CLOSE) | MASK(EMPTY);
    stage_end_all(s);
    QUIET(s);
    s->lose = 0;
    if (s->subject.ended)
        return;
    REATTACH(s);
}

static const script scripts[] = {
    {"break-calm", "the connection breaks, nothing is on its way", calm, {1, 2, 6, {2}}, END_DONE},
    {"break-away", "the broker is away for a while, a task ends meanwhile", away, {1, 2, 6, {2}}, END_DONE},
    {"break-twice", "the connection breaks again before WELCOME, and after it", twice, {1, 2, 6, {2}}, END_DONE},
    {"allocate-lost", "the request is lost with the connection", allocate_lost, {1, 2, 4, {2}}, END_DONE},
    {"allocate-answer-lost", "the grant is lost with the connection", allocate_answer_lost, {1, 2, 4, {2}}, END_DONE},
    {"release-lost", "a release is lost with the connection", release_lost, {1, 3, 9, {3}}, END_DONE},
    {"release-answer-lost",
     "the answer to a release is lost with the connection",
     release_answer_lost,
     {1, 3, 9, {3}},
     END_DONE},
    {"everything-lost", "all requests are lost with the connection", everything_lost, {1, 3, 9, {3}}, END_DONE},
    {"answers-lost", "all answers are lost with the connection", answers_lost, {1, 3, 9, {3}}, END_DONE},
    {"recall-told-anew",
     "a recall that was answered in part is told anew by WELCOME",
     told_anew,
     {1, 3, 9, {3}},
     END_DONE},
    {"recall-by-welcome", "a recall is told by WELCOME alone", heard_first, {1, 2, 6, {2}}, END_DONE},
    {"recall-over-meanwhile", "WELCOME does not list a recall any more", over_meanwhile, {1, 3, 9, {3}}, END_DONE},
    {"half-a-frame", "the connection breaks within a recall", half_a_frame, {1, 2, 6, {2}}, END_DONE},
    {"grown-meanwhile", "WELCOME tells a larger set", grown_meanwhile, {1, 3, 9, {2}}, END_DONE},
    {"ended-meanwhile", "WELCOME does not list the allocation any more", ended_meanwhile, {1, 2, 9, {2}}, END_REFUSED},
    {"session-over", "the session is over: a reattach is not granted", session_over, {1, 2, 6, {2}}, END_REFUSED},
    {"break-at-end",
     "the connection breaks while the client gives everything back",
     at_the_end,
     {1, 2, 2, {2}},
     END_DONE},
};

const script_list restart_scripts = {scripts, sizeof scripts / sizeof *scripts};
