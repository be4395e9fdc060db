/*
 * session.h - what the broker knows of one session: each request that came, its answer, and how far they are
 * acknowledged.
 */
#ifndef CONFORMANCE_SESSION_H
#define CONFORMANCE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "granary.pb-c.h"
#include "report.h"
#include "wire.h"

#define SESSION_ANSWERS 64u /* kept unacknowledged, as every broker does */

typedef struct {
    uint64_t number, arrived_on; /* serial of the connection */
    uint16_t type;
    uint8_t *body;
    size_t length;
    uint8_t *answer; /* a packed Reply; NULL: it was not carried out yet */
    size_t answer_length;
    uint64_t answered_on; /* 0: the answer is withheld, or there is none */
    bool deferred;        /* it will be answered by what it waits for */
    int pid;              /* of the process that rode along; 0 = none */
} request;

typedef struct {
    uint64_t id;
    uint8_t token[16];
    bool open;
    uint64_t acked;
    request *requests; /* by number, without holes after judgement */
    size_t n, capacity;
} session;

void session_open(session *s, uint64_t id); /* forgets an earlier one */
void session_finish(session *s);

request *session_find(session *s, uint64_t number);

/* Judges number and acked of a request that came, and keeps it. NULL: it is not to be carried out (a broken rule, or no
 * memory); `*ret_again`: it came before, unchanged. */
request *session_take(session *s, const wire_frame *f, uint64_t serial, report *r, bool *ret_again);

/* The highest number up to which everything was answered. */
uint64_t session_answered(const session *s);

/* After a reattach on connection `serial`: judges whether what had no answer came again. */
void session_judge_resent(const session *s, uint64_t serial, report *r);

/* For WELCOME: the highest number whose effect is known. */
uint64_t session_effects(const session *s);

#endif
