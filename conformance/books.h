/*
 * books.h - the broker's books of one client: one allocation on some hosts, its claims and recalls.
 *
 * Every change by the client is judged here. The books are changed as a broker would change them, also after a broken
 * rule as far as that makes sense, so that one fault is told once and not as ten.
 */
#ifndef CONFORMANCE_BOOKS_H
#define CONFORMANCE_BOOKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "granary.pb-c.h"
#include "report.h"
#include "task.h"

#define HOSTS        3u /* 0 is the client's own */
#define RECALLS_MAX  256u
#define CLAIMS_MAX   256u
#define ALLOCATION   7u
#define NEVER_KNOWN  UINT64_MAX
#define ANY_HOST     UINT32_MAX
#define REASON_SHOWN 2u /* of a recall: a waiter */

typedef enum { BOOKS_NONE, BOOKS_WAITING, BOOKS_LIVE, BOOKS_ENDING, BOOKS_GONE } books_state;

typedef struct {
    uint64_t id;
    uint32_t count, released, withdrawn;
    uint32_t counted;  /* released without an id, and counted for it */
    uint32_t host;     /* or ANY_HOST */
    unsigned told;     /* times that it was sent */
    uint64_t known;    /* the moment by which the client had read it; NEVER_KNOWN */
    uint64_t unwanted; /* the same of its withdrawal */
    bool over, overdue, late_told;
    uint32_t prefer[HOSTS];
    uint64_t prefer_known;
    bool prefer_told;
    bool operator_made; /* may ask for firm chunks */
} recall;

typedef struct {
    uint64_t id;
    uint32_t host, chunks;
    pid_t pid;        /* of the process that entered last; 0 = none */
    uint64_t entered; /* the moment of that */
    bool open;
    uint64_t closing; /* number of a CLOSE that waits for the end of the task */
} claim;

typedef struct {
    books_state state;
    uint64_t version, told; /* the highest that was sent */
    uint32_t want, min;
    uint32_t held[HOSTS], returning[HOSTS];
    uint32_t stale[HOSTS]; /* most that an old or doubtful state said, after which it must not be believed */
    bool stale_told;
    recall recalls[RECALLS_MAX];
    uint32_t n_recalls;
    claim claims[CLAIMS_MAX];
    uint32_t n_claims;
    uint64_t now;      /* moments: rises when the client is seen quiet */
    uint32_t to_start; /* tasks that the client has yet to begin */
    bool ended_told;   /* and known */
    uint64_t ended_known;
    pid_t refused[CLAIMS_MAX]; /* processes whose CLAIM or ENTER failed */
    uint32_t n_refused;
    pid_t gated[CLAIMS_MAX]; /* processes whose CLAIM or ENTER has no answer yet */
    uint32_t n_gated;
    uint64_t next_recall, next_claim;
} books;

uint32_t books_held(const books *b);
uint32_t books_claimed(const books *b, uint32_t host);
recall *books_recall(books *b, uint64_t id);
claim *books_claim(books *b, uint64_t id);

/* What a recall still wants. */
uint32_t recall_open(const recall *r);

/* Of all recalls that the client knew at `moment` and that chunks of `host` could answer. */
uint32_t books_wanted(const books *b, uint32_t host, uint64_t moment);

/* The client was seen quiet: what was sent to it is known from now on. */
void books_quiet(books *b);

/* A task began on `host`. Judges. */
void books_begin(books *b, const board *tasks, const task *t, report *r);
/* One ended. */
void books_end(books *b, const board *tasks, uint32_t host);

/* A release of extents (n 0: all). Judges and books it; the reply's status. `left` 0: the allocation ended. */
int books_release(books *b, const board *tasks, uint64_t id, const uint32_t give[HOSTS], report *r);

/* Judges an offer. */
void books_offer(const books *b, const board *tasks, const Granary__Offer *m, report *r);

/* Takes a process off the lists of those that wait for an answer. */
void books_ungate(books *b, pid_t pid, bool refused);

#endif
