/*
 * broker.h - the broker's process: everything it is made of, and the turn of its loop.
 *
 *   poll      peers and the agent's link are read; each message becomes one step of the core; what the step wants
 *             sent is queued, what it changed is encoded
 *   check     broker_turn(): one commit for all of it, then the queued frames leave, then broken connections are reaped
 *   timers    the core's deadline, handshakes, idling: the same turn follows in `prepare`
 *
 * One thread. No callback flushes a channel but broker_turn(), so nothing leaves before its commit (I9).
 */
#ifndef GRANARY_DAEMON_BROKER_H
#define GRANARY_DAEMON_BROKER_H

#include <uv.h>

#include "daemon/collect.h"
#include "daemon/config.h"
#include "daemon/driver.h"
#include "daemon/link.h"
#include "daemon/log.h"
#include "daemon/options.h"
#include "daemon/peer.h"
#include "daemon/requests.h"
#include "proto/scratch.h"
#include "daemon/watch.h"

/* What the supervisor tells its broker; borrowed for the broker's life. */
typedef struct {
    const char *state, *socket;
    const char *config; /* file; "" = none */
    bytes_t memory;     /* of the local host; 0 = what the configuration says */
    bytes_t set_aside;  /* UINT64_MAX = the same */
    bool user_instance;
    int control_fd; /* -1 = none (tests) */
    int listen_fd;
    store *store; /* taken over; NULL = SQLite's in `state` */
} broker_options;

struct broker {
    const broker_options *options;
    config config;
    log_book *log;
    store *store;
    driver driver;
    scratch scratch;
    request_room room;
    char boot_id[40];
    char local_host[NAME_MAX_HOST];

    peers peers;
    host_link link; /* of the local agent */
    watches watches;
    collect collect;

    uv_loop_t loop;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle;      /* active while a peer has frames left over from a turn */
    uv_timer_t tick;     /* the core's next deadline */
    uv_timer_t patience; /* handshakes, idle exit */
    uv_poll_t control;
    uv_signal_t terminate;
    bool loop_open, idle_active;
    uint64_t tick_due;             /* loop time that `tick` is armed for */
    uint64_t wall;                 /* wall clock of this turn for the log, ms; 0 = not read yet */
    ms_t busy_last;                /* when there was last a session or an allocation */
    extent preferred[EXTENTS_MAX]; /* of a Prefer that is told one extent at a time */
    uint32_t n_preferred;
    int pidfd;    /* that came with the frame in hand; -1 = none */
    bool telling; /* a line is on its way to those who follow the log */
    bool ready;   /* the supervisor was told */
    bool ending, failed;
    int exit_code;
};
typedef struct broker broker;

/* Opens the store, recovers, and listens. An EXIT_* code; 0 = goes on with broker_run(). */
int broker_open(broker *b, const broker_options *o, log_book *log);

/* Runs until it is asked to end, or cannot go on. An EXIT_* code. */
int broker_run(broker *b);
void broker_close(broker *b);

/* Steps the core; a step that fails ends the broker. */
void broker_step(broker *b, const core_event *event);

/* The end of a turn: commit, send, reap. */
void broker_turn(broker *b);

/* Ends the loop with this code: orderly, or (for a nonzero code) with nothing sent any more. */
void broker_end(broker *b, int code);

/* Turns broker_turn() comes round again at once, though nothing new arrives. */
void broker_again(broker *b);

#endif
