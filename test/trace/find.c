/* find.c - what the model knows, by its number; what is over is not found. */
#include "model.h"

model_allocation *model_allocation_find(model *m, uint64_t id)
{
    for (unsigned i = 0; id && i < m->n_allocations; i++)
        if (m->allocations[i].id == id)
            return &m->allocations[i];
    return NULL;
}

model_claim *model_claim_find(model *m, uint64_t gen)
{
    for (unsigned i = 0; gen && i < m->n_claims; i++)
        if (m->claims[i].gen == gen)
            return &m->claims[i];
    return NULL;
}

model_session *model_session_find(model *m, uint64_t id)
{
    for (unsigned i = 0; id && i < m->n_sessions; i++)
        if (m->sessions[i].id == id && m->sessions[i].alive)
            return &m->sessions[i];
    return NULL;
}

chunks_t model_claimed(const model *m, const model_allocation *a, uint32_t host)
{
    chunks_t n = 0;
    for (unsigned i = 0; i < m->n_claims; i++) {
        const model_claim *k = &m->claims[i];
        if (k->gen && k->allocation == a->id && k->host == host && k->state != CLAIM_QUARANTINED)
            n += k->chunks;
    }
    return n;
}
