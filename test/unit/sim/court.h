/* One machine, the judges, and nobody else: a test tells them a history by hand and hears their sentence. */
#ifndef TEST_SIM_COURT_H
#define TEST_SIM_COURT_H

#include "judge.h"
#include "machine_inner.h"

#define CHUNK   GIB(1)
#define SESSION 7u

typedef struct {
    sim s;
    machine *m;
    uint64_t version;
} court;

/* What the parts that do not take part would say. */
typedef struct {
    const core *core;      /* the broker's; NULL = it is down */
    bool diverges;         /* the journal replays to another state */
    bool client_miscounts; /* its pool */
} court_others;
extern court_others others;

/* A machine of 8 GiB that has said hello and one sample, session 7 of user 1000. */
court *court_open(void);
void court_close(court *t);

/* Facts, as the journal would tell them. */
void court_session(court *t, uint64_t id);
void court_allocation(court *t, uint64_t id, allocation_state state, uint32_t flags, chunks_t min, chunks_t want);
void court_allocation_over(court *t, uint64_t id);
void court_holding(court *t, uint64_t id, chunks_t held, chunks_t returning);
void court_claim(court *t, uint64_t gen, uint64_t allocation, chunks_t chunks, claim_state state, bool kill);
void court_claim_over(court *t, uint64_t gen);
record_recall court_recall(uint64_t id, uint64_t allocation, chunks_t asked);
void court_put(court *t, record_recall r);
void court_recall_over(court *t, uint64_t id);
void court_host(court *t, bool draining);

/* The step that they belong to ends, and is committed. */
void court_step(court *t);
/* An event of the step that begins: of session 7 with this number, if it is a request. */
void court_event(court *t, core_event e, uint64_t number);
core_event court_release(uint64_t allocation, const extent *e);
void court_pass(court *t, ms_t ms); /* of the broker's time */

/* An allocation that lives: `held` chunks on the machine, `claimed` of them in a claim whose number is its own. */
void court_live(court *t, uint64_t id, uint32_t flags, chunks_t min, chunks_t held, chunks_t claimed);
/* A process of so many bytes in the group of a claim, which is made if need be; its pid. */
int32_t court_process(court *t, uint64_t gen, bytes_t limit, bytes_t uses);

/* What leaves the broker. */
void court_sent(court *t, const message *m);

/* Exactly this was found wrong. */
void court_wrong(court *t, const char *sentence);
void court_well(court *t);

#endif
