/*
 * study_table.c - results as Markdown.
 */
#include "study.h"

#include <inttypes.h>
#include <string.h>

/* Milliseconds as people read them. */
static void put_ms(FILE *to, double ms)
{
    if (ms < 1000)
        fprintf(to, " %.0f ms |", ms);
    else
        fprintf(to, " %.1f s |", ms / 1000);
}

static bool same_table(const run_result *a, const run_result *b)
{
    return a->hosts == b->hosts && strcmp(a->work, b->work) == 0;
}

static void put_head(FILE *to, const run_result *r)
{
    const workload *w = workload_find(r->work);
    fprintf(to, "\n## %s, %u hosts\n\n%s.\n\n", r->work, r->hosts, w ? w->about : "");
    fprintf(
        to,
        "| way | granted | in tasks | wait p50 | wait p99 | mean | bound p50 | bound p99 | mean | served | killed | "
        "lost GiB s | tasks done | largest free GiB | stranded: pieces | draining | other | messages a recall |%s\n",
        r->drains ? " drain p50 | p99 |" : "");
    fprintf(to, "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|%s\n",
            r->drains ? "--:|--:|" : "");
}

static void put_row(FILE *to, const run_result *r, bool drains)
{
    fprintf(to, "| %s | %.1f %% | %.1f %% |", way_name((study_way)r->way), r->granted * 100, r->in_tasks * 100);
    put_ms(to, r->wait_50);
    put_ms(to, r->wait_99);
    put_ms(to, r->wait_mean);
    if (r->bounded) {
        put_ms(to, r->bound_50);
        put_ms(to, r->bound_99);
        put_ms(to, r->bound_mean);
    } else {
        fputs(" | | |", to);
    }
    fprintf(to, " %" PRIu64 "/%" PRIu64 " | %" PRIu64 " | %.0f | %" PRIu64 " | %.1f | %.1f | %.1f | %.1f |", r->served,
            r->firm, r->killed, r->lost_gib_s, r->done, r->largest_gib, r->stranded_gib[1], r->stranded_gib[2],
            r->stranded_gib[3] + r->stranded_gib[4] + r->stranded_gib[5]);
    if (r->recalls)
        fprintf(to, " %.1f |", (double)r->recall_messages / (double)r->recalls);
    else
        fputs(" |", to);
    if (drains) {
        put_ms(to, r->drain_50);
        put_ms(to, r->drain_99);
    }
    fputc('\n', to);
}

void tables_write(FILE *to, const run_result *r, size_t n)
{
    bool drains = false;
    fprintf(to, "# The study's tables\n\nMade by `granary-sim study`. The words are explained in study.md.\n");
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || !same_table(&r[i], &r[i - 1])) {
            put_head(to, &r[i]);
            drains = r[i].drains > 0;
        }
        put_row(to, &r[i], drains);
    }
}

void tables_write_cpu(FILE *to, const run_result *r, size_t n)
{
    fprintf(
        to,
        "\n# What the broker's decisions took\n\nProcessor time inside the core, while measured. Not reproducible.\n");
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || !same_table(&r[i], &r[i - 1]))
            fprintf(to,
                    "\n## %s, %u hosts\n\n| way | steps | seconds | a step | journal bytes a step | recalls |\n"
                    "|---|--:|--:|--:|--:|--:|\n",
                    r[i].work, r[i].hosts);
        double steps = r[i].steps ? (double)r[i].steps : 1;
        fprintf(to, "| %s | %" PRIu64 " | %.2f | %.2f us | %.0f | %" PRIu64 " |\n", way_name((study_way)r[i].way),
                r[i].steps, (double)r[i].cpu_ns / 1e9, (double)r[i].cpu_ns / steps / 1e3,
                (double)r[i].journal_bytes / steps, r[i].recalls);
    }
}
