/*
 * judge_truth.c - machines as they are, beside the books.
 *
 *   one user  what is charged on a machine belongs to a claim that the books know there, no larger than they say
 *   drained   what the books let go is really empty
 *   kills     an agent kills what it was told to kill, and nobody dies at a limit below what was granted
 */
#include <string.h>

#include "judge_inner.h"

typedef struct {
    uint64_t gen;
    truth_group found;
} search;

static void find(void *context, const group_view *g)
{
    search *s = context;
    if (g->generation == s->gen)
        s->found = (truth_group){.found = true, .group = *g};
}

truth_group truth_of(const judges *j, host_id h, uint64_t gen)
{
    search s = {.gen = gen};
    if (h.v < j->sim->n_hosts)
        machine_groups(j->sim->machines[h.v], find, &s);
    return s.found;
}

bool truth_empty(const group_view *g, bytes_t chunk_size)
{
    return g->processes == 0 && g->charged - g->droppable <= drain_tolerance(chunk_size);
}

/* ---- groups ---- */

typedef struct {
    judges *judges;
    host_id host;
} looking;

static void look_group(void *context, const group_view *g)
{
    const looking *l = context;
    judges *j = l->judges;
    const record_claim *k = books_claim(&j->now, (generation){g->generation});
    const claim_facts *f = facts_claim(j, g->generation);
    const book_allocation *a = k ? books_allocation(&j->now, k->allocation) : NULL;
    if (!f) {
        WRONG(j, "one user: %s has a group of claim %" PRIu64 ", which no record ever named",
              judge_host_name(j, l->host), g->generation);
        return;
    }
    if (f->lost)
        return; /* nobody knows it any more: what it uses counts as foreign */
    if (f->host.v != l->host.v)
        WRONG(j, "generations: claim %" PRIu64 " is one of %s, and has a group on %s", g->generation,
              judge_host_name(j, f->host), judge_host_name(j, l->host));
    if (!k && g->processes)
        WRONG(j,
              "one user: claim %" PRIu64 " is over, and %" PRIu32 " processes with %" PRIu64 " bytes are in it on %s",
              g->generation, g->processes, g->charged, judge_host_name(j, l->host));
    if (!k || !a || f->resized || j->lost_tail || g->limit == UINT64_MAX)
        return;
    bytes_t size = k->chunks ? a->terms.terms.chunk_size * k->chunks : drain_tolerance(a->terms.terms.chunk_size);
    if (g->limit > size)
        WRONG(j, "one user: claim %" PRIu64 " of A%" PRIu64 " on %s stands for %" PRIu64 " bytes, and may use %" PRIu64,
              g->generation, k->allocation.v, judge_host_name(j, l->host), size, g->limit);
}

void truth_look(judges *j)
{
    for (uint32_t i = 0; i < j->sim->n_hosts; i++) {
        looking l = {j, {i}};
        machine_groups(j->sim->machines[i], look_group, &l);
    }
}

/* ---- kills ---- */

/* Its own limit killed it: was that as large as what was granted? */
static void judge_limit(judges *j, const machine *m, uint64_t gen, int32_t pid)
{
    host_id h = {machine_number(m)};
    const record_claim *k = books_claim(&j->now, (generation){gen});
    const claim_facts *f = facts_claim(j, gen);
    const book_allocation *a = k ? books_allocation(&j->now, k->allocation) : NULL;
    truth_group t = truth_of(j, h, gen);
    if (!a || !f || f->resized || k->chunks == 0 || !t.found)
        return;
    if (t.group.limit < a->terms.terms.chunk_size * k->chunks)
        WRONG(j,
              "kills: process %" PRId32 " of claim %" PRIu64 " on %s dies at a limit of %" PRIu64 "; A%" PRIu64
              " has %" PRIu32 " chunks of %" PRIu64 " for it",
              pid, gen, judge_host_name(j, h), t.group.limit, k->allocation.v, k->chunks, a->terms.terms.chunk_size);
}

void truth_killed(judges *j, const machine *m, uint64_t gen, int32_t pid, const char *by)
{
    host_id h = {machine_number(m)};
    const claim_facts *f = gen ? facts_claim(j, gen) : NULL;
    if (strcmp(by, "agent") != 0) {
        if (strcmp(by, "client") != 0 && gen)
            judge_limit(j, m, gen, pid);
        return;
    }
    if (!gen || !f) {
        WRONG(j, "kills: the agent of %s kills process %" PRId32 ", which is in no claim (group %" PRIu64 ")",
              judge_host_name(j, h), pid, gen);
        return;
    }
    if (!f->kill_sent && !f->empty_sent)
        WRONG(j, "kills: the agent of %s kills process %" PRId32 " of claim %" PRIu64 ", and nobody told it to",
              judge_host_name(j, h), pid, gen);
}
