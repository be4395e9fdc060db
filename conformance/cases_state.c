/* cases_state.c - versions and whole sets: old, repeated, doubtful, crossing. */
#include "cases.h"

#include "base/status.h"

static void old_state(stage *s)
{
    BEGIN(s);
    uint64_t before = s->books.version;
    stage_recall(s, 1, ANY_HOST, NOTICE, 1);
    QUIET(s);
    stage_end_task(s, 0);
    QUIET(s);
    stage_tell_stale(s, before, 0, 4); /* as if a push had been overtaken */
    QUIET(s);
    stage_end_task(s, 0);
    QUIET(s);
    stage_ask(s, ALLOCATION, 4);
    QUIET(s);
}

static void old_state_smaller(stage *s)
{
    BEGIN(s);
    stage_grow(s, 0, 2);
    UNTIL(s, stage_running(s) == 4, "begin a task in each chunk that the allocation grew by");
    stage_tell_stale(s, s->books.version - 1, 0, 2);
    s->books.stale_told = false;
    QUIET(s);
    stage_end_task(s, 0);
    SOON(s, stage_running(s) == 4, RULE_VERSION_ORDER, "4 chunks are held, an older state said 2, and %u tasks run",
         stage_running(s));
    QUIET(s);
}

static void same_version(stage *s)
{
    BEGIN(s);
    stage_tell_stale(s, s->books.version, 0, 4);
    QUIET(s);
    stage_end_task(s, 0);
    QUIET(s);
    stage_ask(s, ALLOCATION, 4);
    QUIET(s);
}

static void state_repeated(stage *s)
{
    BEGIN(s);
    stage_grow(s, 0, 1);
    stage_tell_state(s);
    stage_tell_state(s);
    UNTIL(s, stage_running(s) == 3, "begin a task in the chunk that the allocation grew by");
    QUIET(s);
    stage_end_task(s, 0);
    QUIET(s);
}

static void grow_crosses_release(stage *s)
{
    BEGIN(s);
    const recall *x = stage_recall(s, 1, ANY_HOST, NOTICE, 1);
    QUIET(s);
    s->withhold = MASK(RELEASE) | MASK(RELEASE_N);
    stage_end_task(s, 0);
    SOON(s, x->released == 1, RULE_RECALL_UNANSWERED, "a task ended, a chunk is wanted back, none was released");
    QUIET(s);
    stage_grow(s, 0, 1); /* its version is above that of the answer, which comes later */
    QUIET(s);
    stage_let_go(s, false);
    QUIET(s);
    UNTIL(s, stage_running(s) == 3, "use the chunk by which it grew while it released");
    QUIET(s);
    stage_end_task(s, 0);
    QUIET(s);
}

static void answers_reversed(stage *s)
{
    BEGIN(s);
    s->withhold = ALL_TYPES;
    const recall *x = stage_recall(s, 2, ANY_HOST, NOTICE, 1);
    stage_ask(s, ALLOCATION, 1);
    QUIET(s);
    stage_end_task(s, 0);
    stage_end_task(s, 0);
    SOON(s, x->released == 2, RULE_RECALL_UNANSWERED, "2 tasks ended, 2 chunks are wanted back, %u were released",
         x->released);
    QUIET(s);
    stage_let_go(s, true);
    QUIET(s);
    stage_end_task(s, 0);
    QUIET(s);
}

static void together(stage *s)
{
    BEGIN(s);
    recall *x = stage_recall(s, 1, ANY_HOST, NOTICE, 1);
    stage_withdraw(s, x, true);
    const recall *y = stage_recall(s, 1, ANY_HOST, NOTICE, 2);
    stage_ask(s, ALLOCATION, 1);
    stage_grow(s, 0, 1);
    QUIET(s);
    stage_end_task(s, 0);
    stage_end_task(s, 0);
    SOON(s, y->released == 1, RULE_RECALL_UNANSWERED, "a chunk is wanted back, 2 tasks ended, none was released");
    QUIET(s);
}

static void release_refused(stage *s)
{
    BEGIN(s);
    recall *x = stage_recall(s, 1, ANY_HOST, NOTICE, 1);
    QUIET(s);
    s->release_status = STATUS_BUSY;
    stage_withdraw(s, x, false);
    stage_end_task(s, 0);
    QUIET(s);
    s->release_status = 0;
    QUIET(s);
    for (int i = 0; i < 3; i++) {
        stage_end_task(s, 0);
        QUIET(s);
    }
}

static const script scripts[] = {
    {"old-state", "an older, larger state arrives late", old_state, {1, 4, 10, {3}}, END_DONE},
    {"old-state-smaller", "an older, smaller state arrives late", old_state_smaller, {1, 4, 10, {2}}, END_DONE},
    {"same-version", "another set with the version that is known", same_version, {1, 4, 8, {2}}, END_DONE},
    {"state-repeated", "tells a state three times", state_repeated, {1, 3, 8, {2}}, END_DONE},
    {"grow-crosses-release",
     "a grow overtakes the answer to a release",
     grow_crosses_release,
     {1, 3, 9, {3}},
     END_DONE},
    {"answers-reversed", "answers come in the wrong order", answers_reversed, {1, 3, 9, {3}}, END_DONE},
    {"together",
     "recall, withdrawal, another recall told twice, question and grow at once",
     together,
     {1, 4, 12, {3}},
     END_DONE},
    {"release-refused", "a release is refused: an error is no success", release_refused, {1, 3, 9, {3}}, END_DONE},
};

const script_list state_scripts = {scripts, sizeof scripts / sizeof *scripts};
