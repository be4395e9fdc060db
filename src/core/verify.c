/* verify.c - see verify.h. Sums are of 64 bits: those that the nouns keep may have wrapped. */
#include "core/verify.h"

#include "core/allocation.h"
#include "core/session.h"

/* Chunks that recalls ask for: of one allocation, by their reason, and of its holdings. */
static bool recalls_fit(const allocation *a)
{
    uint64_t asked = 0, by_operator = 0;
    list_each(r, &a->recalls, recall, allocation_node)
    {
        chunks_t left = recall_left(r);
        if ((r->due.pos != 0) != (left && !r->r.overdue))
            return false;
        *(r->r.reason == RECALL_FOR_OPERATOR ? &by_operator : &asked) += left;
    }
    return by_operator <= a->held && (asked == 0 || a->terms.min + asked <= a->held);
}

static bool holdings_fit(const allocation *a)
{
    uint64_t held = 0, returning = 0, claimed = 0;
    list_each(x, &a->holdings, holding, node)
    {
        held += x->held;
        returning += x->returning;
        claimed += x->claimed;
        if (x->claimed > (uint64_t)x->held + x->returning || x->returning > x->claimed)
            return false;
        if ((x->returning != 0) != (x->returning_until != MS_NEVER))
            return false;
    }
    uint64_t in_claims = 0;
    list_each(k, &a->claims, claim, allocation_node) in_claims += k->state == CLAIM_QUARANTINED ? 0 : k->chunks;
    return held == a->held && returning == a->returning && claimed == in_claims;
}

static bool state_fits(const core *c, const allocation *a)
{
    switch (a->state) {
    case ALLOCATION_WAITING:
        if (a->held || a->returning || a->n_claims != (a->gated != NULL))
            return false;
        break;
    case ALLOCATION_LIVE:
        break;
    case ALLOCATION_ENDING:
        if (a->owner && !a->held && !a->returning && !a->n_claims)
            return false;
        if (a->gated && a->gated->state != CLAIM_QUARANTINED && !a->gated->kill)
            return false;
        break;
    default:
        return false; /* terms without a state */
    }
    if (a->state != ALLOCATION_WAITING && a->wait_until != MS_NEVER)
        return false;
    return a->owner || !session_find(c, a->owner_id); /* a session that came after what it owns */
}

static bool claim_fits(const claim *k)
{
    bool ends = k->state == CLAIM_CLOSING || k->state == CLAIM_QUARANTINED;
    return ends == (k->closing_until != MS_NEVER) && (k->chunks == 0) == (k->allocation->gated == k);
}

int verify_books(const core *c)
{
    list_each(s, &c->session_list, session,
              node) if ((s->state == SESSION_DETACHED) != (s->grace_until != MS_NEVER)) return STATUS_CORRUPT;
    list_each(a, &c->allocation_list, allocation, node)
    {
        if (!state_fits(c, a) || !holdings_fit(a) || !recalls_fit(a))
            return STATUS_CORRUPT;
    }
    list_each(k, &c->claim_list, claim, node) if (!claim_fits(k)) return STATUS_CORRUPT;
    return STATUS_OK;
}
