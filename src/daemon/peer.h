/*
 * peer.h - one client's connection, and the table of all.
 *
 *   FRESH   accepted; only a Hello of at most 4 KiB is admitted, within five seconds
 *   OPEN    has a session; requests are read, a bounded number in a turn
 *   DOOMED  nothing is read any more; what is queued is tried once more, then it is closed and its session told
 *
 * Bounds: connections in all and of one user, time to the hello, frames of one peer in a turn, bytes unsent. While much
 * is unsent nothing more is done for a peer, nor read from it; when what nobody asked for goes beyond the limit, it is
 * dropped. The others notice nothing.
 */
#ifndef GRANARY_DAEMON_PEER_H
#define GRANARY_DAEMON_PEER_H

#include <uv.h>

#include "daemon/process.h"
#include "proto/channel.h"
#include "core/effect.h"

struct broker;

typedef enum { PEER_FRESH = 1, PEER_OPEN, PEER_DOOMED } peer_stage;

typedef struct peer {
    uv_poll_t poll;
    struct broker *broker;
    channel *channel;
    process_peer process; /* its pidfd is the peer's */
    uint64_t link;        /* the core's name for the connection */
    uint32_t slot;
    peer_stage stage;
    bool operator_;
    session_id session;
    ms_t since;
    bool greeting; /* its hello is being stepped: the next reply is the welcome */
    int greeting_status;
    bool goodbye;        /* it said so: the session ends, whether the process lives or not */
    bool lost;           /* nobody reads there: no use in writing */
    bool ended;          /* and all that was sent has been read */
    bool stalled;        /* frames wait until its answers have left */
    bool dirty, backlog; /* on the list of that name */
    bool reaped;         /* to be freed by the backlog's turn */
    bool follows;        /* wants log lines, as parts of the answer to `follow_number` */
    uint64_t follow_number;
    uint64_t pushes; /* sent */
    int events;      /* polled for now */
    struct peer *next_dirty, *next_backlog, *next_doomed;
} peer;

typedef struct {
    peer **table; /* by slot */
    uint32_t *free_slots;
    uint32_t capacity, n, n_free, n_fresh, followers;
    uint64_t serial;
    peer *dirty, *backlog, *doomed;
    uv_poll_t listener;
    bool listening, paused;
} peers;

/* Makes the table and listens. STATUS_NO_MEMORY, STATUS_SYSTEM. */
int peers_open(struct broker *b, int listen_fd);
void peers_close(struct broker *b);

/* The connection of that name, or NULL when it is gone or doomed. */
peer *peers_find(struct broker *b, uint64_t link);

/* The connection of that session, or NULL. Looks at all. */
peer *peers_find_session(struct broker *b, session_id session, const peer *but);

/* As the number of a push: the peer's own, which rises by one. */
#define PUSH_NUMBER UINT64_MAX

/* Queues a frame; a peer that cannot take it is doomed. */
void peer_send(peer *p, uint16_t type, uint64_t number, const ProtobufCMessage *message);

/* Says why, and dooms. `text` is for the client. */
void peer_refuse(peer *p, int status, const char *text);
void peer_doom(peer *p);

/* Steps of the turn. peers_work: frames left over. peers_reap: true when it stepped the core. */
void peers_work(struct broker *b);
void peers_flush(struct broker *b);
bool peers_reap(struct broker *b);

/* Ends the connections of processes that are dead: a child that they forked may hold the socket open. */
void peers_collect(struct broker *b);

/* Refuses those whose hello is overdue; ms until the next one may be, -1 = none. */
int64_t peers_patience(struct broker *b, ms_t now);

#endif
