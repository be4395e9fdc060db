/* cases_life.c - hello, grant, work, end, without a recall. */
#include "cases.h"

#include "base/status.h"

static void work(stage *s)
{
    BEGIN(s);
}

static void pieces(stage *s)
{
    s->wire.pieces = true;
    BEGIN(s);
    stage_ask(s, ALLOCATION, 1);
    stage_recall(s, 1, ANY_HOST, NOTICE, 1);
    QUIET(s);
    stage_end_task(s, ANY_HOST);
    SOON(s, s->releases > 0, RULE_RECALL_UNANSWERED, "a recall that came in pieces, and a task that ended: no release");
}

static void slow_welcome(stage *s)
{
    s->hold_welcome = true;
    if (stage_start(s, &s->setup) < 0)
        s->stopped = true;
    UNTIL(s, s->greeted, "say hello");
    QUIET(s);
    stage_welcome(s);
    UNTIL(s, stage_running(s) > 0, "begin a task");
}

static void waits(stage *s)
{
    if (stage_start(s, &s->setup) < 0)
        s->stopped = true;
    UNTIL(s, s->allocates > 0, "ask for an allocation");
    QUIET(s);
    stage_grow(s, 0, 1);
    UNTIL(s, stage_running(s) == 1, "begin a task in what was granted");
    QUIET(s);
}

static void waits_in_vain(stage *s)
{
    if (stage_start(s, &s->setup) < 0)
        s->stopped = true;
    UNTIL(s, s->allocates > 0, "ask for an allocation");
    QUIET(s);
    stage_tell_ended(s, STATUS_NEVER);
    UNTIL(s, s->subject.ended, "end, though its request was refused at last");
}

static void asked_while_waiting(stage *s)
{
    if (stage_start(s, &s->setup) < 0)
        s->stopped = true;
    UNTIL(s, s->allocates > 0, "ask for an allocation");
    stage_ask(s, ALLOCATION, 2);
    QUIET(s);
    stage_grow(s, 0, 2);
    UNTIL(s, stage_running(s) == 2, "begin a task in each chunk that was granted");
}

static void refused(stage *s, int status)
{
    s->refuse_status = status;
    if (stage_start(s, &s->setup) < 0)
        s->stopped = true;
    UNTIL(s, s->allocates > 0, "ask for an allocation");
    UNTIL(s, s->subject.ended, "end, though its request was refused");
}

static void refused_never(stage *s)
{
    refused(s, STATUS_NEVER);
}

static void refused_limit(stage *s)
{
    refused(s, STATUS_LIMIT);
}

static void refused_busy(stage *s)
{
    refused(s, STATUS_BUSY);
}

static void broker_refuses(stage *s)
{
    s->error_status = STATUS_VERSION;
    if (stage_start(s, &s->setup) < 0)
        s->stopped = true;
    UNTIL(s, s->hellos > 0, "say hello");
    UNTIL(s, s->subject.ended, "end, though the broker speaks another version");
}

static void broker_is_full(stage *s)
{
    s->error_status = STATUS_BUSY;
    if (stage_start(s, &s->setup) < 0)
        s->stopped = true;
    UNTIL(s, s->hellos > 0, "say hello");
    s->error_status = 0; /* who tries again is served */
    UNTIL(s, s->subject.ended || stage_running(s) > 0, "end, or try again, when the broker was full");
    if (!s->subject.ended)
        s->end = END_DONE;
}

static void grows(stage *s)
{
    BEGIN(s);
    stage_grow(s, 0, 2);
    UNTIL(s, stage_running(s) == 3, "begin a task in each chunk that the allocation grew by");
    QUIET(s);
    stage_end_task(s, 0);
    UNTIL(s, stage_running(s) == 3, "begin the next task when one had ended");
    QUIET(s);
}

static void ends_under_way(stage *s)
{
    BEGIN(s);
    stage_tell_ended(s, STATUS_ENDED);
    QUIET(s);
    stage_end_all(s);
    UNTIL(s, s->subject.ended, "end, though its allocation had ended");
}

static void claim_refused(stage *s)
{
    s->claim_status = STATUS_AGENT;
    if (stage_start(s, &s->setup) < 0)
        s->stopped = true;
    UNTIL(s, s->allocates > 0, "ask for an allocation");
    UNTIL(s, s->claims_seen > 0 || stage_running(s) > 0 || s->subject.ended, "begin a task");
    if (s->claims_seen == 0 && !s->subject.ended) {
        report_skip(&s->report, "it makes no claims");
        s->end = END_DONE;
        return;
    }
    stage_quiet(s);
}

static void claim_answer_late(stage *s)
{
    s->withhold = MASK(CLAIM) | MASK(ENTER);
    if (stage_start(s, &s->setup) < 0)
        s->stopped = true;
    UNTIL(s, s->claims_seen > 0 || stage_running(s) > 0 || s->subject.ended, "begin a task");
    QUIET(s);
    if (s->claims_seen == 0)
        report_skip(&s->report, "it makes no claims");
    stage_let_go(s, true);
    UNTIL(s, stage_running(s) == 2, "begin its tasks when their claims were answered");
}

static void many_answers(stage *s)
{
    BEGIN(s);
    for (int i = 0; i < 150 && !s->stopped; i++) {
        stage_ask(s, ALLOCATION, 1);
        if (i % 10 == 9)
            QUIET(s);
    }
}

static const script scripts[] = {
    {"work", "grants what is asked, and lets every task end", work, {1, 3, 7, {3}}, END_DONE},
    {"fewer", "grants fewer chunks than wanted", work, {1, 4, 6, {2}}, END_DONE},
    {"grows", "grants one chunk, then more", grows, {1, 3, 8, {1}}, END_DONE},
    {"waits", "the request waits in the queue, then is granted", waits, {1, 2, 4, {0}}, END_DONE},
    {"waits-in-vain",
     "the request waits in the queue, then is told that it can never be served",
     waits_in_vain,
     {1, 2, 4, {0}},
     END_REFUSED},
    {"asked-while-waiting",
     "asks how soon it could give while it holds nothing",
     asked_while_waiting,
     {1, 2, 4, {0}},
     END_DONE},
    {"refused-never", "refuses the request: larger than every host", refused_never, {1, 2, 4, {2}}, END_REFUSED},
    {"refused-limit", "refuses the request: a table is full", refused_limit, {1, 2, 4, {2}}, END_REFUSED},
    {"refused-busy", "refuses the request: too many at once", refused_busy, {1, 2, 4, {2}}, END_REFUSED},
    {"broker-refuses", "answers HELLO by an Error: another version", broker_refuses, {1, 2, 4, {2}}, END_REFUSED},
    {"broker-is-full",
     "answers the first HELLO by an Error: too many connections",
     broker_is_full,
     {1, 2, 4, {2}},
     END_EITHER},
    {"slow-welcome", "answers HELLO late", slow_welcome, {1, 2, 4, {2}}, END_DONE},
    {"pieces", "sends every frame a few bytes at a time", pieces, {1, 2, 4, {2}}, END_DONE},
    {"ends-under-way", "the allocation ends while tasks run", ends_under_way, {1, 2, 6, {2}}, END_REFUSED},
    {"claim-refused", "no claim can be opened", claim_refused, {1, 2, 4, {2}}, END_REFUSED},
    {"claim-answer-late",
     "claims are answered late, and in the wrong order",
     claim_answer_late,
     {1, 2, 4, {2}},
     END_DONE},
    {"many-answers",
     "asks so often that answers must be acknowledged on the way",
     many_answers,
     {1, 2, 4, {2}},
     END_DONE},
};

const script_list life_scripts = {scripts, sizeof scripts / sizeof *scripts};
