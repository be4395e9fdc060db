/*
 * client_inner.h - what the files of a client share; nobody else includes this.
 *
 *   client.c          the process and its connection: hello, attach again, faults
 *   client_request.c  numbered requests and their answers
 *   client_task.c     processes in claims
 *   program_*.c       what each kind of client does
 */
#ifndef GRANARY_SIM_CLIENT_INNER_H
#define GRANARY_SIM_CLIENT_INNER_H

#include "client.h"
#include "message.h"
#include "net.h"

#define REQUESTS_WINDOW 60u             /* as in client/request.h */
#define SILENT_PATIENCE US_OF_MS(20000) /* as REQUESTS_SILENT_MS */
#define LINK_PATIENCE   US_OF_MS(60000) /* as LINK_GIVE_UP_MS */

/* The answer to what was asked; `reply` is NULL when the session is over. */
typedef void (*request_done)(client_node *c, int status, const message *reply, const core_event *asked, void *context);

typedef struct pending {
    struct pending *next;
    client_node *client;
    uint64_t number;
    message *m; /* what was asked, to be sent again */
    bool sent;  /* on the present connection */
    request_done done;
    void *context;
    us_t silent_until; /* its host was silent: not asked again after this; 0 = it was not */
    us_t pause;
    clock_job job; /* it rests until then */
} pending;

/* What a kind of client does when it is told something. All may be NULL but start and settle. */
typedef struct {
    size_t room;                                              /* of its own state, zeroed */
    void (*start)(client_node *c);                            /* the first welcome */
    void (*attached)(client_node *c, const message *welcome); /* again; the set is taken over already */
    void (*changed)(client_node *c);                          /* the set */
    void (*ended)(client_node *c);                            /* the allocation */
    void (*ask)(client_node *c, const effect_push *p);
    void (*recall)(client_node *c, const effect_push *p);
    void (*prefer)(client_node *c, uint64_t recall, const extent *e, uint32_t n);
    void (*withdraw)(client_node *c, uint64_t recall);
    void (*claim_ended)(client_node *c, const effect_push *p);
    void (*settle)(client_node *c); /* begin nothing new, end */
    bool (*check)(const client_node *c, char *why, size_t size);
    void (*finish)(client_node *c);
} program;

struct client_node {
    sim *sim;
    uint32_t number;
    client_plan plan;
    char name[24];
    rng dice;
    int32_t pid; /* on its machine */
    const program *program;
    void *state;

    bool started, over, welcomed;
    us_t stalled_until;
    struct {
        message **items;
        uint32_t n, capacity;
    } unread; /* while it is stalled */
    clock_job wake;

    connection *connection;
    clock_job reconnect;
    us_t pause, give_up_at;
    uint64_t session;
    uint8_t token[16];

    pending *first, *last, *resting;
    uint64_t next_number;

    message_set set; /* of the one allocation that it owns; id 0 = none yet */
    bool asked, granted, ended;
    uint64_t killed_by_recall;

    struct task *tasks;
};

/* ---- client.c ---- */
us_t client_clock(const client_node *c);  /* of the run */
ms_t client_ms(const client_node *c);     /* of its machine */
bool client_deaf(const client_node *c);   /* stalled: what happens to it is looked at later */
void client_finish(client_node *c);       /* says goodbye and ends: the last thing that a program does */
void client_session_over(client_node *c); /* no broker, or one that does not know it: it ends */
chunks_t client_held(const client_node *c, host_id host);
chunks_t client_holds(const client_node *c);

/* ---- client_request.c ---- */
/* Gives it the next number and sends it when it may go. `done` may be NULL. */
void request_start(client_node *c, const core_event *e, request_done done, void *context);
void requests_send(client_node *c);
void requests_unsend(client_node *c); /* a new connection */
void requests_reply(client_node *c, const message *reply);
void requests_fail(client_node *c); /* the session is over */
void requests_drop(client_node *c); /* the process is dead: nobody hears the answers */
/* Allocates by the plan's terms; remembers the set, calls program->changed or ended. */
void request_allocation(client_node *c);

/* ---- client_task.c ---- */
typedef struct task task;

/* Who is told about a task. */
typedef struct {
    void (*claimed)(client_node *c, task *t);    /* it runs, in t->gen */
    void (*claim_lost)(client_node *c, task *t); /* the claim that it was to enter had ended: it gets one of its own */
    void (*over)(client_node *c, task *t,
                 int status); /* it ended, or could not be started (negative); once, the last */
} task_owner;

struct task {
    task *next;
    client_node *client;
    const task_owner *owner;
    uint64_t slot; /* the program's */
    host_id host;
    chunks_t chunks;
    int32_t pid;
    ms_t expected; /* how long it will run: what the program may tell */
    us_t since;
    generation gen; /* 0: not claimed yet */
    bool fresh;
    bool running, dead; /* gone through the gate; ended */
    clock_job job;      /* the client looks at its end later */
};

/*
 * Starts a process for one task on `host` and lets it into the claim, or (gen 0) into one of its own; it runs once
 * that is answered.
 */
task *task_start(client_node *c, const task_owner *owner, uint64_t slot, host_id host, chunks_t chunks, generation gen,
                 bool fresh);
void task_kill(task *t);
task *task_of_slot(client_node *c, uint64_t slot);
chunks_t tasks_on(const client_node *c, host_id host); /* chunks of running tasks */
void tasks_drop(client_node *c, bool kill);            /* the client is dead: nobody waits for them */
void tasks_free(client_node *c);                       /* the run is over */
machine *task_machine(const client_node *c, host_id host);

extern const program program_pool, program_run, program_ways, program_operator, program_liar;

#endif
