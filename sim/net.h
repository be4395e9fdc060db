/*
 * net.h - connections between the programs of a run.
 *
 * A connection is a stream, as the real ones are: what is sent arrives in order and once, later or, when the
 * connection breaks, from some point on not at all, in each direction for itself. A partition holds what is sent back,
 * and breaks the connection when it lasts (the far end is told only then). What is soft (message_may_...) is also
 * lost, repeated and overtaken alone: the protocol promises to live with that, whatever carries it.
 */
#ifndef GRANARY_SIM_NET_H
#define GRANARY_SIM_NET_H

#include "message.h"
#include "sim.h"

/* What the net does to soft messages and to time; per million, and microseconds. All zero: a perfect net. */
typedef struct {
    us_t delay_least, delay_most;
    uint32_t lose, repeat, overtake; /* of soft messages, per million */
    us_t overtake_most;              /* how much later a soft message may come */
} net_weather;

typedef struct connection connection;

/* One end of a connection: who is called. The message is borrowed for the call. */
typedef struct {
    void *context;
    void (*arrived)(void *context, connection *c, const message *m);
    void (*broken)(void *context, connection *c); /* the far end is gone, or the way; once, and the last that is heard:
                                                     not to be closed any more */
} net_end;

struct net;
struct net *net_create(sim *s);
void net_destroy(struct net *n);
void net_set_weather(struct net *n, const net_weather *w);

/*
 * Connects: the far end's `accept` decides who answers there. NULL: refused (nobody listens). `name` is for the trace:
 * "client 3", "agent b".
 */
typedef struct {
    void *context;
    bool (*accept)(void *context, connection *c, const char *name, net_end *ret);
} net_listener;
void net_listen(struct net *n, const net_listener *l); /* the broker; NULL: nobody listens */
connection *net_connect(struct net *n, const char *name, const net_end *near);

/* From whichever end `from_near` says. Takes the message over. */
void net_send(connection *c, bool from_near, message *m);
/* Ends the connection from one end: what is on its way from here still arrives if `polite`; the far end is told. The
 * own end is not called any more. */
void net_close(connection *c, bool from_near, bool polite);

/* Faults. */
void net_break(
    connection *c); /* both ends are told, each after a delay; what was on the way is lost from a random point on */
void net_stall(connection *c, us_t span); /* what is sent from now on arrives after it */
void net_each(struct net *n, void (*visit)(void *context, connection *c, const char *name), void *context);
uint64_t net_sent(const struct net *n); /* messages ever */

#endif
