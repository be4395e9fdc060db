/*
 * rule.h - what a client is held to: each rule's name, level, sentence, and where it is written.
 *
 * MUST: a client that does otherwise is wrong. SHOULD: it is worse for others than need be. KIT: not of the protocol,
 * but of the little that a driven program promises (docs/give-back/conformance.md).
 */
#ifndef CONFORMANCE_RULE_H
#define CONFORMANCE_RULE_H

#include <stddef.h>

typedef enum { LEVEL_MUST, LEVEL_SHOULD, LEVEL_KIT } rule_level;

typedef enum {
    /* frames */
    RULE_HELLO_FIRST,
    RULE_HELLO_VERSION,
    RULE_HELLO_LATE,
    RULE_BEFORE_WELCOME,
    RULE_MAY_SEND,
    RULE_FRAME_BOUNDS,
    RULE_DESCRIPTOR,
    RULE_BODY,
    RULE_REFUSE,
    RULE_UNKNOWN,
    /* requests */
    RULE_NUMBER_NEXT,
    RULE_NUMBER_REUSED,
    RULE_NUMBER_NEW,
    RULE_RESEND,
    RULE_ACKED_EARLY,
    RULE_ACKED_STUCK,
    /* sessions */
    RULE_REATTACH,
    RULE_REATTACH_TOKEN,
    RULE_SESSION_OVER,
    RULE_GOODBYE,
    RULE_AFTER_GOODBYE,
    /* what is held */
    RULE_ALLOCATION,
    RULE_NOT_GRANTED,
    RULE_UNHELD,
    RULE_VERSION_ORDER,
    RULE_ENDED,
    RULE_CLAIM_HELD,
    RULE_CLAIM_REFUSED,
    RULE_GATE,
    /* giving back */
    RULE_RELEASE_HELD,
    RULE_RECALL_UNKNOWN,
    RULE_RECALL_EXCEEDED,
    RULE_RECALL_TWICE,
    RULE_RECALL_HOST,
    RULE_RECALL_ID,
    RULE_RECALL_UNANSWERED,
    RULE_WANTED_SLOT,
    RULE_WITHDRAWN,
    RULE_PREFERENCE,
    RULE_TASK_KILLED,
    RULE_OFFER_HELD,
    RULE_OFFER_IDLE,
    RULE_OFFER_FIRM,
    RULE_OFFER_AGAIN,
    /* the driven program */
    RULE_TERMS,
    RULE_HANG,
    RULE_CRASH,
    RULE_EXIT,
    RULES
} rule_id;

typedef struct {
    const char *name, *sentence, *where;
    rule_level level;
} rule;

/* Static storage. */
const rule *rule_of(rule_id id);
const char *rule_level_name(rule_level level);

#endif
