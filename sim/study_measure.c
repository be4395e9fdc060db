/*
 * study_measure.c - what is seen of a run: looked at all hosts every so often, and summed up at its end.
 */
#include "study_world.h"

#include <stdlib.h>
#include <string.h>

_Static_assert((int)STRANDED_FRESH < (int)STRANDED_REASONS, "each reason has its place");

void world_sample(world *w)
{
    tally *s = &w->sum;
    bytes_t granted = 0, leasable = 0, largest = 0;
    host_view h;
    if (!MEASURED(w))
        return;
    for (uint32_t cursor = 0; view_host(w->core, &cursor, &h);) {
        stranded_reason why;
        bytes_t lost = view_stranded(w->core, h.id, &why);
        if (lost)
            s->stranded[why] += (double)lost;
        granted += h.granted;
        leasable +=
            h.draining ? h.granted + h.returning : h.total - h.set_aside - (h.foreign < h.total ? h.foreign : h.total);
        if (!h.draining && h.free > largest)
            largest = h.free;
    }
    s->granted += (double)granted;
    s->leasable += (double)leasable;
    s->in_tasks += (double)w->running;
    s->largest += (double)largest;
    s->samples++;
    world_job(w, (job){.at = w->now + w->plan.sample_ms, .kind = JOB_SAMPLE});
}

static double mean(const series *s)
{
    double sum = 0;
    for (size_t i = 0; i < s->n; i++)
        sum += s->values[i];
    return s->n ? sum / (double)s->n : 0;
}

static void sum_firms(const world *w, run_result *r)
{
    series waits = {0}, bounds = {0};
    for (uint32_t i = 0; i < w->n_firms; i++) {
        const firm *f = &w->firms[i];
        if (!f->counts || f->asked == 0 || (f->over && !f->held))
            continue;
        double wait = (double)((f->held ? f->granted : w->now) - f->asked);
        r->firm++;
        r->served += f->held;
        series_add(&waits, wait);
        if (f->bound != MS_NEVER)
            series_add(&bounds, (double)f->bound);
    }
    r->wait_mean = mean(&waits);
    r->wait_50 = percentile(waits.values, waits.n, 0.5);
    r->wait_99 = percentile(waits.values, waits.n, 0.99);
    r->bound_mean = mean(&bounds);
    r->bound_50 = percentile(bounds.values, bounds.n, 0.5);
    r->bound_99 = percentile(bounds.values, bounds.n, 0.99);
    r->bounded = bounds.n;
    free(waits.values);
    free(bounds.values);
}

run_result world_result(world *w)
{
    tally *s = &w->sum;
    double gib = (double)GIB(1), samples = s->samples ? (double)s->samples : 1;
    run_result r = {.way = w->plan.way,
                    .hosts = w->plan.hosts,
                    .refused = s->refused,
                    .killed = s->killed,
                    .done = s->done,
                    .lost_gib_s = s->lost / gib / 1000,
                    .done_gib_s = s->work / gib / 1000,
                    .largest_gib = s->largest / gib / samples,
                    .recalls = s->recalls,
                    .recall_messages = s->recall_messages,
                    .steps = s->steps,
                    .journal_bytes = s->journal_bytes,
                    .cpu_ns = s->cpu_ns,
                    .arena_bytes = w->arena_bytes};
    snprintf(r.work, sizeof r.work, "%s", w->plan.work->name);
    if (s->leasable > 0) {
        r.granted = s->granted / s->leasable;
        r.in_tasks = s->in_tasks / s->leasable;
    }
    for (int i = 0; i < STRANDED_REASONS; i++)
        r.stranded_gib[i] = s->stranded[i] / gib / samples;
    r.drains = s->drains.n;
    r.drain_50 = percentile(s->drains.values, s->drains.n, 0.5);
    r.drain_99 = percentile(s->drains.values, s->drains.n, 0.99);
    sum_firms(w, &r);
    return r;
}
