/*
 * request.h - numbered requests: admitted once, answered once (I12).
 *
 * An answer is journaled and kept until the client acknowledges it, at most ANSWERS_MAX for a session. Acknowledged
 * answers are dropped in batches, and the number up to which they were is part of the session's record, so that a
 * replay drops the same ones. An entry that went well is the exception: pending_tell().
 */
#ifndef GRANARY_CORE_REQUEST_H
#define GRANARY_CORE_REQUEST_H

#include "core/books.h"

/* The few numbers of an answer. */
typedef struct {
    int status;
    allocation_id allocation;
    generation claim;
    recall_id recall;
    chunks_t chunks;
} outcome;

/* The session when the request is to be carried out; NULL when it was answered, waits already, or has no session. */
session *request_admit(core *c, const core_event *e);

/* Answers and keeps the answer. The reply may still be filled by the caller. */
effect_reply *request_reply(core *c, session *s, request_no number, outcome o);

/* Keeps an answer, without a reply: for loading too. False: it was acknowledged unseen, or the table is full. */
bool request_keep(core *c, session *s, const record_answer *record);

/* Drops answers up to `acked` and remembers that. */
void request_forget(core *c, session *s, request_no acked);

/* A request now waits for the host's agent. Returns its tag. */
uint64_t pending_open(core *c, pending *p, session *s, request_no number);
static inline bool pending_used(const pending *p)
{
    return p->session != NULL;
}
/* Frees it, and answers its session. */
effect_reply *pending_reply(core *c, pending *p, outcome o);
/* The same without keeping the answer: for what the agent, asked again, answers alike and does not do twice. */
effect_reply *pending_tell(core *c, pending *p, outcome o);
/* Nobody waits for the answer any more; its tag stays, so that the answer is known when it comes. */
void pending_drop(pending *p);

#endif
