/*
 * broker_node.h - what the files of the broker node share: the process, its connections, what waits for the commit.
 *
 *   broker.c          turns: steps, commits, ticks
 *   broker_life.c     from the disk to a broker that listens, and its end; configuration
 *   broker_fault.c    crashes, loss of power, a failing disk
 *   broker_peer.c     connections; clients: hello, requests, broken
 *   broker_agent.c    agents: what they say, orders to them, collection
 *   broker_request.c  a client's message becomes an event, or is refused (daemon/requests.c)
 *   broker_reply.c    replies, pushes and welcomes become messages (daemon/replies.c, info.c)
 *   broker_watch.c    whether the process of a client lives
 *   broker_journal.c  the journal made a snapshot, and replayed
 *   broker_judge.c    what the judges are told
 *
 * A turn begins with the first message that arrives (or a tick, or the start) and ends TURN later: all that arrived
 * meanwhile was stepped, now comes one commit, and only then leaves what it justifies.
 */
#ifndef GRANARY_SIM_BROKER_NODE_H
#define GRANARY_SIM_BROKER_NODE_H

#include "broker.h"
#include "daemon/driver.h"
#include "daemon/recovery.h"
#include "machine.h"
#include "message.h"
#include "net.h"

#define TURN ((us_t)50) /* how long what arrives is gathered for one commit */

typedef enum { PEER_FRESH = 1, PEER_CLIENT, PEER_AGENT, PEER_DOOMED } peer_stage;

/* Numbers of claims, rising. */
typedef struct {
    uint64_t *items;
    uint32_t n, capacity;
} claim_set;

/* One connection. */
typedef struct peer {
    struct peer *next; /* in the order of their coming */
    broker_node *broker;
    connection *connection; /* NULL: broken */
    char name[32];
    peer_stage stage;
    uint64_t link; /* its name for the core */
    bool mute;     /* the process dies before it has sent this one's letters */

    session_id session; /* of a client */
    user_id user;
    int32_t pid;
    bool operator_, goodbye;
    bool greeting; /* in the step of its hello */
    int greeting_status;

    host_id host;            /* of an agent */
    bool sampled;            /* `told` is of this connection */
    claim_set telling, told; /* claims in the sample that is arriving; in the last one */
    claim_set differs;       /* at the last collection: only one of books and agent knew them */
} peer;

/* What waits for the commit. */
typedef struct {
    peer *to;
    message *m;
} letter;

/* A session without a connection, whose process lives. */
typedef struct {
    session_id session;
    int32_t pid;
} watched;

struct broker_node {
    sim *sim;
    broker_options options;
    rng dice;
    machine_clock time;
    uint32_t boot; /* of its machine; 1 = the first */
    char boot_id[40];
    uint32_t life;

    store *store; /* the disk: outlives everything else here */
    core_event *config;
    uint32_t n_config;

    /* of one life */
    bool up;
    driver driver;
    uint64_t links; /* the last name given */
    peer *peers;
    letter *letters;
    uint32_t n_letters, letters_capacity;
    watched *watched;
    uint32_t n_watched, watched_capacity;
    extent preferred[EXTENTS_MAX]; /* of a PREFER, which the core tells one extent at a time */
    uint32_t n_preferred;
    effect_note *early; /* made while recovering, before the judges know that there is a new life */
    uint32_t n_early;
    bool recovering;
    size_t judged; /* bytes of the driver's blob whose records the judges were told */
    clock_job turn, tick, watch, collect;

    /* faults */
    clock_job start;  /* armed while down */
    clock_job fall;   /* a crash between turns, a loss of power */
    crash_when crash; /* planned for a turn; 0 = none */
    us_t crash_down;
    uint32_t crash_waits; /* turns that changed nothing, in which it was no use */
    uint32_t lose;
    bool power_fails;
    uint64_t steps, commits, compactions, replays; /* of all lives */
};

/* ---- broker.c ---- */
/* Sets the clock of this machine, and makes sure that a turn is open. */
void broker_enter(broker_node *b);
void broker_step(broker_node *b, const core_event *event);

/* ---- broker_life.c ---- */
void broker_boot(broker_node *b); /* the machine starts: another boot id, and its clock begins anew */
void broker_start_in(broker_node *b, us_t wait);
/* The process is gone, with all that was not committed. */
void broker_end(broker_node *b, bool polite);
void broker_die(broker_node *b, const char *how, us_t down); /* and comes back */

/* ---- broker_fault.c ---- */
/* Whether the crash that is planned for the middle of a turn comes in this one. */
bool crash_fits(broker_node *b, crash_when when);
/* Whether the letters of one peer leave before the crash. */
bool crash_spares(broker_node *b);

/* ---- broker_journal.c ---- */
int journal_compact(broker_node *b); /* as a store's calls */

/* ---- broker_peer.c ---- */
void peers_listen(broker_node *b);
void peers_close(broker_node *b, bool polite); /* the process is gone: all of them */
peer *peers_find(broker_node *b, uint64_t link);
peer *peers_find_host(broker_node *b, host_id host, const peer *but);
void peer_doom(peer *p);
/* Ends what is doomed. True: that was news for the core. */
bool peers_reap(broker_node *b);
/* Ends connections whose process is dead. */
void peers_collect(broker_node *b);

/* Queues a message until the commit; takes it over. */
void letter_add(peer *to, message *m);
/* All of them leave; `some` (may be NULL) is asked for each peer whether its letters do, else they are dropped. */
void letters_send(broker_node *b, bool (*some)(broker_node *b));
void letters_drop(broker_node *b);

/* ---- broker_agent.c ---- */
void agent_arrived(peer *p, const message *m);
void agent_broken(peer *p); /* steps the core, once */
void agent_order(broker_node *b, const effect_order *order);
void agents_collect(broker_node *b);
void claim_set_finish(claim_set *s);

/* ---- broker_request.c ---- */
/* Fills what the client left to the broker, and looks at what the core takes for granted. 0, or STATUS_INVALID. */
int request_look(const broker_node *b, core_event *e);

/* ---- broker_reply.c ---- */
void reply_send(broker_node *b, const effect_reply *reply);
void reply_refuse(peer *p, request_no number, int status);
void push_send(broker_node *b, const effect_push *push);
void welcome_send(peer *p, const uint8_t token[16], bool reattached);
void welcome_refuse(peer *p, int status);

/* ---- broker_watch.c ---- */
typedef enum { PROCESS_UNKNOWN = 0, PROCESS_ALIVE, PROCESS_DEAD } process_fate;
process_fate process_look(const broker_node *b, int32_t pid, uint64_t *ret_start);
void watch_start(broker_node *b, session_id session, int32_t pid);
void watch_stop(broker_node *b, session_id session);
void watch_look(broker_node *b); /* ends the sessions of those that died */

/* ---- broker_judge.c ---- */
void tell_records(broker_node *b); /* those that came since the last call */
void tell_note(broker_node *b, const effect_note *note);
void tell_step(broker_node *b, const core_event *event);
void tell_restart(broker_node *b);

#endif
