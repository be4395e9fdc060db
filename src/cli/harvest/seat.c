/*
 * seat.c - see seat.h.
 */
#include "cli/harvest/seat.h"

#include <assert.h>
#include <string.h>

#include "base/status.h"
#include "cli/exits.h"
#include "cli/harvest/work.h"

#define PAUSE_MS     200u
#define REFUSALS_MAX 20u

static uint64_t seat_tag(const harvest_run *run, const harvest_seat *seat)
{
    return (uint64_t)(seat - run->seats);
}

static void seat_clear(harvest_run *run, harvest_seat *seat)
{
    assert(!seat->task && !seat->next);
    *seat = (harvest_seat){0};
    run->used_seats--;
}

/* Ends the task of a seat whose claim can tell nothing (any more). */
static void task_end_unknown(harvest_run *run, harvest_seat *seat)
{
    harvest_task *task = seat->task;

    seat->task = NULL;
    if (task)
        harvest_work_ended(run, task, NULL);
}

static void library_failed(harvest_run *run, const char *what, int status)
{
    const char *detail = granary_client_error(run->client);

    if (status == STATUS_LOST || status == STATUS_ENDED) {
        if (!run->lost)
            harvest_fail(run, EXIT_NO_BROKER,
                         "the broker is gone and did not come back in time; running tasks may end");
        harvest_seat_lost(run);
        return;
    }
    harvest_fail(run, status == STATUS_NEVER || status == STATUS_QUOTA ? EXIT_NEVER : EXIT_FAILED, "%s: %s", what,
                 detail[0] ? detail : granary_status_text(status));
}

static void seat_release(harvest_run *run, harvest_seat *seat)
{
    int status = run->lost ? STATUS_LOST : STATUS_OK;

    seat->state = SEAT_LEAVING;
    if (status == STATUS_OK)
        status = granary_slot_start(run->pool, &seat->slot, GRANARY_SLOT_RELEASE, -1, seat_tag(run, seat));
    if (status == STATUS_OK) {
        run->in_flight++;
        return;
    }
    task_end_unknown(run, seat);
    seat_clear(run, seat);
    library_failed(run, "a slot cannot be released", status);
}

/* `next` is put under the slot's limit; what was there before ends first when there was a task. */
static void seat_start(harvest_run *run, harvest_seat *seat, harvest_task *next)
{
    const bool fresh = seat->task == NULL;
    const int status = granary_slot_start(run->pool, &seat->slot, fresh ? GRANARY_SLOT_ENTER : GRANARY_SLOT_NEXT,
                                          next->gate.pidfd, seat_tag(run, seat));

    if (status == STATUS_OK) {
        seat->state = fresh ? SEAT_ENTERING : SEAT_SWITCHING;
        seat->next = next;
        run->in_flight++;
        return;
    }
    harvest_work_put_back(run, next);
    seat_release(run, seat);
    if (status != STATUS_STATE)
        library_failed(run, "a task cannot enter its slot", status);
}

/* The answer was yes: through the gate. */
static void seat_go(harvest_run *run, harvest_seat *seat)
{
    harvest_task *next = seat->next;

    seat->next = NULL;
    run->nursery.allocation = granary_pool_allocation(run->pool);
    if (next->state == TASK_GATED && run->stop == STOP_NOT &&
        harvest_task_go(next, &run->nursery, granary_slot_claim(run->pool, &seat->slot), harvest_now_ms(),
                        run->options->timeout_ms) == STATUS_OK) {
        seat->task = next;
        seat->state = SEAT_RUNNING;
        return;
    }
    harvest_work_put_back(run, next);
    seat_release(run, seat);
}

/* ---- filling ---- */

/* Does a task that needs several chunks wait, which the pool has the chunks for? Then its turn comes first. */
static bool is_collecting(const harvest_run *run)
{
    return run->big.first && run->stats.held >= run->big.first->chunks;
}

static harvest_seat *seat_empty(harvest_run *run)
{
    for (uint32_t i = 0; i < run->options->jobs; i++)
        if (run->seats[i].state == SEAT_EMPTY)
            return &run->seats[i];
    return NULL;
}

static void seat_take(harvest_run *run, const granary_slot *slot, harvest_task *task)
{
    harvest_seat *seat = seat_empty(run);

    assert(seat);
    seat->slot = *slot;
    run->used_seats++;
    seat_start(run, seat, task);
}

/* True: a big task was served. */
static bool fill_big(harvest_run *run)
{
    harvest_task *task = run->big.first;
    granary_slot slot;
    int status;

    if (!task || run->stop != STOP_NOT || run->used_seats >= run->options->jobs)
        return false;
    status = granary_slot_acquire_n(run->pool, task->chunks, &slot, 0);
    if (status == STATUS_TIMEOUT || status == STATUS_STATE)
        return false;
    if (status < 0) {
        library_failed(run, "a task that ran out of memory cannot get more", status);
        return false;
    }
    (void)harvest_queue_take(&run->big);
    if (task->state == TASK_IDLE && !harvest_work_fork(run, task)) {
        (void)granary_slot_release(run->pool, &slot, NULL);
        return false;
    }
    seat_take(run, &slot, task);
    return true;
}

static bool fill_one(harvest_run *run)
{
    harvest_task *task;
    granary_slot slot;
    int status;

    if (run->used_seats >= run->options->jobs || run->stop != STOP_NOT)
        return false;
    task = harvest_work_gated(run);
    if (!task)
        return false;
    status = granary_slot_acquire(run->pool, &slot, 0);
    if (status == STATUS_OK) {
        seat_take(run, &slot, task);
        return true;
    }
    harvest_work_put_back(run, task);
    if (status != STATUS_TIMEOUT)
        library_failed(run, "no memory can be had", status);
    return false;
}

/* Chunks that are of use: those in seats, those for what waits, as many as may run at once. */
static void want_tell(harvest_run *run)
{
    const uint64_t left = harvest_input_left(run->input);
    uint64_t most = run->options->jobs, need = (uint64_t)run->ready.count + run->spares.count, big = 0;
    uint32_t want;

    for (uint32_t i = 0; i < run->options->jobs; i++)
        if (run->seats[i].state != SEAT_EMPTY && run->seats[i].state != SEAT_LEAVING)
            need += run->seats[i].slot.chunks;
    if (run->big.first)
        big = run->big.first->chunks;
    if (run->stop == STOP_NOT && !run->input_ended)
        need = left > most ? most : need + left;
    if (run->stop != STOP_NOT)
        need -= need < run->spares.count ? need : run->spares.count;
    most = most < big ? big : most;
    need += big;
    want = (uint32_t)(need > most ? most : need);
    if (want < run->options->min)
        want = run->options->min;
    if (want < 1)
        want = 1;
    if (want == run->want || run->lost)
        return;
    if (granary_pool_want(run->pool, want) == STATUS_OK)
        run->want = want;
}

void harvest_seat_fill(harvest_run *run)
{
    if (run->lost || !run->pool)
        return;
    want_tell(run); /* before: it may make room for what is taken now */
    if (run->pause_ms <= harvest_now_ms())
        run->pause_ms = UINT64_MAX;
    while (run->pause_ms == UINT64_MAX && fill_big(run))
        want_tell(run); /* the next one may need more */
    while (run->pause_ms == UINT64_MAX && !is_collecting(run) && fill_one(run))
        ;
    want_tell(run); /* after: what was read may have been the last input */
}

/* ---- what happens ---- */

/* The seat's task has ended: the next one in, or out. */
static void seat_ended(harvest_run *run, harvest_seat *seat)
{
    harvest_task *next = NULL;

    if (run->lost) {
        task_end_unknown(run, seat);
        seat_clear(run, seat);
        return;
    }
    if (seat->slot.chunks == 1 && !is_collecting(run) && run->stop == STOP_NOT && run->pause_ms == UINT64_MAX)
        next = harvest_work_gated(run);
    if (next)
        seat_start(run, seat, next);
    else
        seat_release(run, seat);
}

/*
 * The host's agent is away, or could not do it: a while later it may. It comes back by itself when it died, so
 * silence is waited for; refusals only a few times.
 */
static bool is_passing(harvest_run *run, int status)
{
    if (status == STATUS_STATE || status == STATUS_DEAD)
        return true;
    if (status != STATUS_SILENT && (status != STATUS_AGENT || ++run->refusals > REFUSALS_MAX))
        return false;
    run->pause_ms = harvest_now_ms() + PAUSE_MS;
    return true;
}

static void answer_enter(harvest_run *run, harvest_seat *seat, int status)
{
    harvest_task *next = seat->next;

    if (status == STATUS_OK) {
        run->refusals = 0;
        seat_go(run, seat);
        return;
    }
    seat->next = NULL;
    harvest_work_put_back(run, next);
    seat_release(run, seat);
    if (!is_passing(run, status))
        library_failed(run, "a task cannot be put under its limit", status);
}

static void answer_take(harvest_run *run, const granary_slot_answer *answer)
{
    assert(answer->tag < run->options->jobs && run->in_flight > 0);

    harvest_seat *seat = &run->seats[answer->tag];
    harvest_task *task = seat->task;

    run->in_flight--;
    switch (seat->state) {
    case SEAT_ENTERING:
        answer_enter(run, seat, answer->status);
        return;
    case SEAT_SWITCHING:
        if (answer->status == STATUS_OK) {
            seat->task = NULL;
            harvest_work_ended(run, task, &answer->end);
        }
        answer_enter(run, seat, answer->status);
        return;
    case SEAT_LEAVING:
        seat->task = NULL;
        if (task)
            harvest_work_ended(run, task, answer->status == STATUS_OK ? &answer->end : NULL);
        seat_clear(run, seat);
        if (answer->status < 0 && !is_passing(run, answer->status))
            library_failed(run, "a slot cannot be released", answer->status);
        return;
    case SEAT_EMPTY:
    case SEAT_RUNNING:
        break;
    }
    assert(false);
}

bool harvest_seat_answers(harvest_run *run)
{
    granary_slot_answer answer;
    int status = STATUS_OK;
    bool any = false;

    while (!run->lost && run->pool && run->in_flight > 0 &&
           (status = granary_slot_take(run->pool, &answer)) == STATUS_OK) {
        answer_take(run, &answer);
        any = true;
    }
    if (status < 0 && !run->lost)
        library_failed(run, "the broker's answers cannot be taken", status);
    return any;
}

static bool seat_reaped(harvest_run *run, harvest_seat *seat, int pid, int wait_status, uint64_t now_ms)
{
    if (seat->state == SEAT_RUNNING && seat->task->gate.pid == pid) {
        harvest_task_reaped(seat->task, wait_status, now_ms);
        seat_ended(run, seat);
        return true;
    }
    if (seat->next && seat->next->state == TASK_GATED && seat->next->gate.pid == pid) {
        harvest_task_reaped(seat->next, wait_status, now_ms); /* noticed when the answer comes */
        return true;
    }
    return false;
}

static bool queue_reaped(harvest_run *run, harvest_queue *queue, int pid, int wait_status, uint64_t now_ms)
{
    for (harvest_task *task = queue->first; task; task = task->next) {
        if (task->state != TASK_GATED || task->gate.pid != pid)
            continue;
        (void)harvest_queue_remove(queue, task);
        harvest_task_reaped(task, wait_status, now_ms);
        harvest_work_gate_died(run, task);
        return true;
    }
    return false;
}

bool harvest_seat_reaped(harvest_run *run, int pid, int wait_status, uint64_t now_ms)
{
    for (uint32_t i = 0; i < run->options->jobs; i++)
        if (seat_reaped(run, &run->seats[i], pid, wait_status, now_ms))
            return true;
    return queue_reaped(run, &run->spares, pid, wait_status, now_ms) ||
           queue_reaped(run, &run->big, pid, wait_status, now_ms);
}

void harvest_seat_lost(harvest_run *run)
{
    if (run->lost)
        return;
    run->lost = true;
    run->in_flight = 0;
    for (uint32_t i = 0; i < run->options->jobs; i++) {
        harvest_seat *seat = &run->seats[i];
        harvest_task *next = seat->next;

        seat->next = NULL;
        if (next)
            harvest_work_put_back(run, next);
        if (seat->state == SEAT_EMPTY || seat->state == SEAT_RUNNING)
            continue;
        task_end_unknown(run, seat);
        seat_clear(run, seat);
    }
}
