/*
 * judge.h - what must never happen, and what must have happened in the end. Shares no code with the core.
 *
 * Judges keep books of their own, made from journal records, from what was sent, and from the truth of the machines.
 * They are told of things by the nodes; the first sentence ends the run.
 *
 *   bytes        the columns of a host add up to its total; sums of holdings are what the host shows as granted (I2,
 * I8) one user     what processes of claims use, on a host, never stands for the same chunk twice: claims of other
 *                allocations and released-but-used chunks are counted together against the host (I1, I4)
 *   overbooked   a grant is covered: after it, held + returning + still charged + foreign as sampled is at most total
 * (I1) drained      what is released while it is used is granted to nobody before its group is really empty (I4) firm
 * open recalls of an allocation ask at most held - min (but the operator's own) (I6) outcomes     released + withdrawn
 * + revoked = asked when a recall is over; no count ever falls (I11) answers      one number of a session has one
 * answer, whatever is repeated (I12) before       nothing is sent that its journal record does not precede (I9) lease
 * what a client was told that it holds is in the books after any restart, until it gives it back or its lease ends
 *   kills        no process is killed by a recall but of a revocable allocation after its notice; none by a grant
 *   generations  no two claims of a host have one number, ever
 *   progress     in the end every request has been granted, refused or withdrawn; nothing waits that fits
 *   reality      in the end books and machines agree: no group without a claim, no claim without a group, nothing
 * charged replay       the journal replays to the same state, byte for byte (I7)
 */
#ifndef GRANARY_SIM_JUDGE_H
#define GRANARY_SIM_JUDGE_H

#include "message.h"
#include "sim.h"

typedef struct judges judges;

judges *judges_create(sim *s);
void judges_destroy(judges *j);

/* Told by the broker node. An event before its step. Records come in the order of the journal; `committed` when they
 * have become durable. */
void judge_event(judges *j, const core_event *e, ms_t now); /* now: of the broker's machine */
void judge_record(judges *j, const core_record *r);
void judge_committed(judges *j);
void judge_lost_tail(judges *j, uint64_t commits); /* of the last so many commits nothing is durable after all */
void judge_note(judges *j, const effect_note *n);
void judge_stepped(judges *j);                                /* the core has finished a step: views may be compared */
void judge_sent(judges *j, const char *to, const message *m); /* it leaves the broker */
void judge_restarted(judges *j);                              /* recovered, before anything else */

/* Told by clients and machines. */
void judge_asked(judges *j, uint32_t client, const message *request); /* it leaves the client */
void judge_told(judges *j, uint32_t client, const message *m);        /* it arrived there */
void judge_killed(judges *j, const struct machine *m, uint64_t generation, int32_t pid, const char *by);

/* After every job: cheap looks at the truth. At the end: all. */
void judge_look(judges *j);
void judge_end(judges *j);

#endif
