/*
 * stage.h - one case under way: the driven program, the broker that is played for it, and the verbs that scripts are
 * made of.
 *
 * A script is a function that runs from top to bottom. Between its steps the stage turns: it answers requests as a
 * broker would, judges everything that it sees, and keeps the books. The script says what goes wrong on the way: which
 * answers are withheld, which requests lost, when the connection breaks, what is told twice, late, or in the wrong
 * order.
 *
 * A script never waits for an amount of time: it waits for an event, at most options.wait_ms, or until the client is
 * quiet (subject.h).
 */
#ifndef CONFORMANCE_STAGE_H
#define CONFORMANCE_STAGE_H

#include <stdbool.h>

#include "books.h"
#include "options.h"
#include "report.h"
#include "session.h"
#include "subject.h"
#include "task.h"
#include "wire.h"

#define TYPE(name) ((uint16_t)GRANARY__MESSAGE_TYPE__TYPE_##name)
#define MASK(name) (1u << GRANARY__MESSAGE_TYPE__TYPE_##name)
#define ALL_TYPES  UINT32_MAX

#define CHUNK      (8u << 20)
#define LABEL      "conformance"
#define LOCAL_HOST "here"

typedef enum {
    END_DONE,    /* every task runs, GOODBYE, exit status 0 */
    END_REFUSED, /* no task is begun any more, another exit status */
    END_EITHER,  /* as it likes, without breaking a rule */
} stage_end;

/* What the program is asked to do, and what it gets. */
typedef struct {
    uint32_t min, want, tasks;
    uint32_t grant[HOSTS]; /* at ALLOCATE; all 0: it waits */
} setup;

typedef struct {
    const options *options;
    const char *folder;  /* of this case's sockets */
    const char *program; /* this executable's path */
    report report;
    subject subject;
    wire wire;
    board board;
    session session;
    books books;
    setup setup;
    stage_end end;

    /* what the script wants otherwise than a plain broker does it */
    bool hold_welcome;  /* HELLO is not answered until stage_welcome() */
    bool forget;        /* the session is over: a reattach is not granted */
    int refuse_status;  /* of ALLOCATE; 0 = granted, or waiting */
    int error_status;   /* HELLO is answered by ERROR, and the connection closed; 0 = not */
    int release_status; /* of RELEASE; 0 = carried out */
    int claim_status;   /* of CLAIM and ENTER; 0 = carried out */
    uint32_t withhold;  /* mask of types: their answers are kept back */
    uint32_t lose;      /* mask of types: the first of these, and all that follow on its connection, are lost */
    uint64_t lost_on;   /* serial of that connection; 0 = none was lost */

    bool greeted;      /* HELLO came on this connection */
    bool welcomed;     /* and was answered */
    bool said_goodbye; /* on any connection of the session */
    bool stopped;      /* the client hung: the rest of the script makes no sense */
    bool reattaches;   /* it said hello with a session, at least once */
    bool broke;        /* the stage broke a connection of a session */
    uint64_t hellos, allocates, claims_seen, offers, releases;
    uint64_t hello_by;              /* deadline, in milliseconds */
    uint64_t pending_hello_session; /* of a HELLO whose answer is held */
} stage;

/* ---- life ---- */

/* STATUS_SYSTEM: the kit cannot work. */
int stage_open(stage *s, const options *o, const char *program, const char *folder);
void stage_close(stage *s);

/* Starts the program. STATUS_NOT_FOUND: it cannot be executed. */
int stage_start(stage *s, const setup *setup);

/* Lets it come to its end: what runs ends, what is missing is granted, what was asked is taken back. Judges the end. */
void stage_finish(stage *s);

/* ---- time ---- */

uint64_t stage_now(void);

/* Handles what is there, waiting up to `ms` for it. */
void stage_turn(stage *s, int ms);

/* Turns until the client is quiet. False: it never was (told as RULE_HANG), or has ended. */
bool stage_quiet(stage *s);

/* Turns while `cond` (an expression) is false; after options.wait_ms, or the program's end, the script ends. */
#define UNTIL(s, cond, ...)                                                                                            \
    do {                                                                                                               \
        uint64_t by_ = stage_now() + (s)->options->wait_ms;                                                            \
        while (!(cond) && stage_goes_on((s), by_))                                                                     \
            stage_turn((s), 50);                                                                                       \
        if (!(cond)) {                                                                                                 \
            stage_stop((s), __VA_ARGS__);                                                                              \
            return;                                                                                                    \
        }                                                                                                              \
    } while (0)

/* The same for what SHOULD come soon: when it does not, the rule is told, and the script goes on. */
#define SOON(s, cond, rule, ...)                                                                                       \
    do {                                                                                                               \
        uint64_t by_ = stage_now() + STAGE_SOON_MS;                                                                    \
        while (!(cond) && stage_goes_on((s), by_))                                                                     \
            stage_turn((s), 50);                                                                                       \
        if (!(cond))                                                                                                   \
            report_broken(&(s)->report, (rule), __VA_ARGS__);                                                          \
    } while (0)

#define QUIET(s)                                                                                                       \
    do {                                                                                                               \
        if (!stage_quiet(s))                                                                                           \
            return;                                                                                                    \
    } while (0)

#define STAGE_SOON_MS 2000u

bool stage_goes_on(const stage *s, uint64_t by);
void stage_stop(stage *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* With --verbose: what no message tells. */
void stage_say(const stage *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- verbs ---- */

/* Starts the program, waits until as many tasks run as can, and until it is quiet. False: it did not come so far. */
bool stage_begin(stage *s, const setup *setup);

uint32_t stage_running(const stage *s);
void stage_end_task(stage *s, uint32_t host); /* one that runs there, or on any for ANY_HOST */
void stage_end_all(stage *s);

/* Opens a recall in the books; `told` 0: it is lost on the way. */
recall *stage_recall(stage *s, uint32_t count, uint32_t host, uint64_t notice_ms, unsigned told);
void stage_tell_recall(stage *s, recall *x, uint64_t notice_ms);
void stage_withdraw(stage *s, recall *x, bool told);
void stage_prefer(stage *s, recall *x, uint32_t host, uint32_t chunks);
void stage_ask(stage *s, uint64_t allocation, uint32_t count);
void stage_grow(stage *s, uint32_t host, uint32_t chunks); /* a CHANGED with that much more */
void stage_tell_state(stage *s);
/* A CHANGED that must not be believed. */
void stage_tell_stale(stage *s, uint64_t version, uint32_t host, uint32_t chunks);
void stage_tell_ended(stage *s, int status);

/* Sends the answers that were withheld, the last first if `reversed`, and withholds none any more. */
void stage_let_go(stage *s, bool reversed);

/* The connection breaks; the broker is away until stage_return(). */
void stage_break(stage *s);
void stage_return(stage *s);
void stage_welcome(stage *s);

/* Break, return, and wait for the client to be attached again. False: it ended, or does not reattach (told). */
bool stage_reattach(stage *s);

/* Judges, when the client is quiet, that everything unanswered came again. */
void stage_judge_resent(stage *s);

/* ---- inside (answer.c, push.c) ---- */

void stage_handle(stage *s, const wire_frame *f);
void stage_push(stage *s, uint16_t type, const ProtobufCMessage *message);
void stage_claims_ended(stage *s); /* answers every CLOSE whose task has ended */
void stage_end_if_empty(stage *s);
typedef struct {
    Granary__AllocationState state;
    Granary__Extent extents[HOSTS], *pointers[HOSTS];
} told_state;
void told_state_fill(told_state *t, const books *b);
/* Keeps the answer, and sends it unless answers of its type are withheld. */
void stage_answer(stage *s, request *q, Granary__Reply *reply);
void stage_send_answer(stage *s, request *q);

/* Carries a request out (carry.c). */
void stage_carry_out(stage *s, request *q, const ProtobufCMessage *message, int fd);
/* The descriptor of a request's message; NULL: it has none. */
const ProtobufCMessageDescriptor *request_descriptor(uint16_t type);

#endif
