/*
 * claim_task.c - what a claim knows of its task: use, peak, and why it ended.
 */
#include "agent/claim_inner.h"

#include "base/status.h"

#define SAMPLED_WELL_MS       2000u /* of a task's life: then its samples say enough */
#define BROUGHT_PROCESSES_MAX 64u   /* of one claim: walking their pages takes time */
#define SMALL_TASK            MIB(1)

void claim_task_begin(claim *c)
{
    c->entered = c->oom = c->killed = c->brought = false;
    c->samples = 0;
    c->peak = 0;
    c->entered_pid = 0;
    if (claim_ops(c)->task_begin(c->group) < 0)
        claim_notice(c, "warning", "the marks of its group could not be reset");
}

void claim_oom_check(claim *c)
{
    bool oom;
    bytes_t ceiling;
    if (claim_ops(c)->task_end(c->group, &oom, &ceiling) == 0)
        c->oom |= oom;
}

/* What the ended task was; the group is empty. */
claim_answer claim_task_end(claim *c)
{
    bool oom = false;
    bytes_t ceiling = UINT64_MAX, charged = 0, used = 0;
    claim_answer end = {.text = ""};
    if (!c->entered)
        return c->last;
    if (claim_ops(c)->task_end(c->group, &oom, &ceiling) < 0)
        claim_notice(c, "warning", "the marks of its group could not be read");
    c->oom |= oom;
    /*
     * At the high-water mark the group held this task's memory and no more page cache than is left now, unless cache
     * was dropped since: so what is above the cache was the task's. Samples are better, where a task lived for some of
     * them.
     */
    bool young = uv_now(c->world->loop) - c->entered_at < SAMPLED_WELL_MS && ceiling < c->bytes;
    if (ceiling < SMALL_TASK && !c->brought) {
        c->peak = ceiling; /* page cache makes no difference that anybody could use */
    } else if ((c->samples == 0 || young) && ceiling != UINT64_MAX && claim_ops(c)->charged(c->group, &charged) == 0 &&
               claim_ops(c)->use(c->group, &used) == 0) {
        bytes_t cache = charged > used ? charged - used : 0;
        bytes_t least = ceiling > cache ? ceiling - cache : 0;
        c->peak = least > c->peak ? least : c->peak;
    }
    if (c->peak > ceiling && !c->brought)
        c->peak = ceiling;
    end.peak = c->oom ? c->bytes : c->peak;
    end.cause = c->oom ? CAUSE_OOM : c->killed ? CAUSE_KILLED : CAUSE_EXIT;
    return end;
}

void claim_sample_soon(claim *c)
{
    c->sample_step = SAMPLE_FIRST_MS;
    c->sample_at = uv_now(c->world->loop) + c->sample_step;
    claim_arm(c);
}

/*
 * A process that was running before it entered keeps its pages charged where they were: what its group shows is not
 * all that it uses. A child that waited for its exec brought nothing that it keeps: seen at once, and not asked again.
 */
static bytes_t with_brought(claim *c, bytes_t charged)
{
    const procfs *proc = c->world->backend->proc;
    pids list = {0};
    bytes_t sum = 0;
    if (claim_ops(c)->processes(c->group, &list) == 0)
        for (uint32_t i = 0; i < list.count && i < BROUGHT_PROCESSES_MAX; i++) {
            bytes_t share = 0;
            procfs_process process;
            if (procfs_share(proc, list.items[i], &share) == 0)
                sum += share;
            else if (procfs_process_read(proc, list.items[i], &process) == 0)
                sum += process.resident;
        }
    pids_free(&list);
    if (sum > charged + BROUGHT_LEAST)
        return sum;
    c->brought = false;
    return charged;
}

int claim_measure(claim *c, pids *processes)
{
    bytes_t used = 0;
    int r = 0;
    if (processes)
        r = claim_ops(c)->processes(c->group, processes);
    if (r == STATUS_BUSY)
        r = 0; /* whoever does not show yet that it belongs here is counted when it does */
    if (r == 0)
        r = claim_ops(c)->use(c->group, &used);
    if (r < 0)
        return r;
    if (processes)
        c->processes = processes->count;
    if (c->brought)
        used = with_brought(c, used);
    bool grew = used > c->used + c->bytes / 16;
    c->used = used;
    if (c->entered) {
        c->samples++;
        if (used > c->peak)
            c->peak = used;
        if (grew && c->state == CLAIM_OPEN)
            claim_sample_soon(c); /* what grows is looked at again before the host's next sample */
    }
    return 0;
}

claim_view claim_see(const claim *c)
{
    return (claim_view){.generation = c->generation,
                        .bytes = c->bytes,
                        .used = c->used,
                        .peak = c->oom ? c->bytes : c->peak,
                        .processes = c->processes,
                        .cause = c->last.cause};
}
