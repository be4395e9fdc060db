/*
 * pick.c - see pick.h. What could be picked on a host is laid out side by side first: the rounds that follow, one for
 * each few chunks, touch nothing else.
 */
#include "core/pick.h"

#include <assert.h>

#include "core/holding.h"
#include "core/recall.h"

void pick_undo(core *c, uint32_t i, chunks_t n)
{
    holding *x = c->choice.picks[i].from;
    c->choice.picks[i].n -= n;
    x->take -= n;
    x->allocation->take -= n;
}

void pick_undo_to(core *c, uint32_t mark)
{
    choice *ch = &c->choice;
    for (; ch->n_picks > mark; ch->n_picks--)
        pick_undo(c, ch->n_picks - 1, ch->picks[ch->n_picks - 1].n);
}

/* Chunks of this holding that could be here by `by`, not counting what is picked already. */
static chunks_t available(const holding *x, ms_t by)
{
    chunks_t possible = recall_willing(x->allocation), here = x->held > x->asked ? x->held - x->asked : 0, n = 0;
    possible = possible > x->allocation->take ? possible - x->allocation->take : 0;
    if (by == MS_NEVER)
        n = here;
    else if (x->offered)
        for (const estimate *e = x->estimates; e && e->at <= by; e = e->next)
            n++;
    else
        n = holding_idle(x);
    n = n < here ? n : here;
    n = n > x->take ? n - x->take : 0;
    return n < possible ? n : possible;
}

/* Lays out what could be picked, with n = 0. Returns its bytes. */
static bytes_t lay_out(core *c, const allocation *but, const host *h, ms_t by)
{
    choice *ch = &c->choice;
    bytes_t there = 0;
    list_each(x, &h->holdings, holding, host_node)
    {
        const allocation *a = x->allocation;
        chunks_t here = a != but ? available(x, by) : 0;
        if (here == 0)
            continue;
        if (ch->n_picks == CHOICE_PICKS)
            break;
        ch->picks[ch->n_picks++] = (pick){.from = x,
                                          .here = here,
                                          .above_min = recall_possible(a) - a->take,
                                          .size = a->terms.chunk_size,
                                          .id = a->id};
        there += chunk_bytes(a, here);
    }
    return there;
}

static bool better(const pick *x, const pick *y, bytes_t missing)
{
    if ((x->size <= missing) != (y->size <= missing))
        return x->size <= missing;
    if (x->size != y->size)
        return x->size <= missing ? x->size > y->size : x->size < y->size;
    return x->above_min != y->above_min ? x->above_min > y->above_min : x->id.v < y->id.v;
}

/* The best one, and how many of its chunks come before the next best one's turn. There is one. */
static pick *best_of(choice *ch, uint32_t mark, bytes_t missing, chunks_t *ret_n)
{
    pick *best = NULL, *next = NULL;
    for (pick *p = &ch->picks[mark]; p < &ch->picks[ch->n_picks]; p++) {
        if (p->here == 0)
            continue;
        if (!best || better(p, best, missing)) {
            next = best;
            best = p;
        } else if (!next || better(p, next, missing)) {
            next = p;
        }
    }
    assert(best);
    chunks_t n = best->here;
    bytes_t enough = missing / best->size;
    if (next && next->size == best->size) {
        chunks_t ahead = best->above_min - next->above_min;
        n = n < ahead ? n : ahead;
    }
    n = n < enough ? n : (chunks_t)enough;
    *ret_n = n ? n : 1;
    return best;
}

/* What a later, larger chunk made needless is left alone, and what is not picked goes. Returns the bytes that stay. */
static bytes_t settle(core *c, uint32_t mark, bytes_t picked, bytes_t missing)
{
    choice *ch = &c->choice;
    uint32_t end = ch->n_picks;
    ch->n_picks = mark;
    for (uint32_t i = mark; i < end; i++) {
        pick *p = &ch->picks[i];
        bytes_t n = (picked - missing) / p->size;
        n = n < p->n ? n : p->n;
        p->n -= (chunks_t)n;
        picked -= n * p->size;
        if (p->n == 0)
            continue;
        p->from->take += p->n;
        p->from->allocation->take += p->n;
        ch->picks[ch->n_picks++] = *p;
    }
    return picked;
}

bytes_t pick_on(core *c, const allocation *but, const host *h, bytes_t missing, ms_t by)
{
    choice *ch = &c->choice;
    uint32_t mark = ch->n_picks;
    bytes_t picked = 0;
    if (lay_out(c, but, h, by) < missing) {
        ch->n_picks = mark;
        return 0;
    }
    while (picked < missing) {
        chunks_t n;
        pick *best = best_of(ch, mark, missing - picked, &n);
        best->n += n;
        best->here -= n;
        best->above_min -= n;
        picked += n * best->size;
    }
    return settle(c, mark, picked, missing);
}

bytes_t pick_cost(core *c, const allocation *but, const host *h, bytes_t missing, ms_t by)
{
    choice *ch = &c->choice;
    uint32_t mark = ch->n_picks;
    bytes_t there = lay_out(c, but, h, by);
    bool same = true;
    for (uint32_t i = mark; i < ch->n_picks; i++)
        same &= ch->picks[i].size == ch->picks[mark].size;
    ch->n_picks = mark;
    if (there < missing)
        return 0;
    bytes_t size = ch->picks[mark].size;
    if (same) /* as most are */
        return missing + (size - missing % size) % size;
    bytes_t cost = pick_on(c, but, h, missing, by);
    pick_undo_to(c, mark);
    return cost;
}

void pick_join(core *c, uint32_t mark)
{
    choice *ch = &c->choice;
    uint32_t end = ch->n_picks;
    ch->n_picks = mark;
    for (uint32_t i = mark; i < end; i++) {
        uint32_t k = 0;
        while (k < mark && ch->picks[k].from != ch->picks[i].from)
            k++;
        if (k < mark)
            ch->picks[k].n += ch->picks[i].n;
        else
            ch->picks[ch->n_picks++] = ch->picks[i];
    }
}
