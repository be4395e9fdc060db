/*
 * link.h - the connection to the broker: hello, welcome, and attaching again.
 *
 *   DOWN --connected, hello sent--> GREETING --welcome--> UP
 *   GREETING, UP --connection breaks--> DOWN (tries again with growing pauses, for LINK_GIVE_UP_MS)
 *
 * A session that could not be attached again is over, and so is the client.
 */
#ifndef GRANARY_CLIENT_LINK_H
#define GRANARY_CLIENT_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/units.h"
#include "client/find.h"
#include "granary.h"
#include "proto/channel.h"

#define LINK_GIVE_UP_MS   60000u /* longer than a broker's restart takes, its grace included */
#define LINK_PAUSE_MS     20u    /* first pause between attempts; doubles */
#define LINK_PAUSE_MAX_MS 1000u
#define LINK_START_MS     3000u /* a broker that was started has so long before another is */

typedef enum { LINK_DOWN, LINK_GREETING, LINK_UP } link_state;

typedef struct {
    link_state state;
    channel *channel; /* NULL while DOWN */
    bool resync;      /* something that arrived could not be kept: attach again, to be told anew */
    bool writing;     /* epoll waits for room */
    broker_socket socket;
    char *program;
    uint64_t session;
    uint8_t token[16];
    ms_t retry_at; /* next attempt; MS_NEVER while not DOWN */
    ms_t pause;
    ms_t give_up_at;
    ms_t start_after; /* no broker is started again before */
    char why[200];    /* the last failure, for people */
    char books[GRANARY_BROKER_ID_MAX];
} client_link;

/* One attempt to connect and say hello. STATUS_LOST, STATUS_DENIED, STATUS_BUSY, STATUS_NO_MEMORY, STATUS_SYSTEM: still
 * DOWN. */
int link_connect(granary_client *c);

/* Closes the connection, if there is one. */
void link_close(granary_client *c);

/* Frees everything. */
void link_finish(granary_client *c);

int link_fd(const granary_client *c);

/* Reads and handles what arrived; a broken connection is DOWN afterwards. */
void link_input(granary_client *c);

/* Writes what the socket takes. */
void link_flush(granary_client *c);

/* Attempts what is due; ends the session after the last. */
void link_tick(granary_client *c, ms_t now);

/* When link_tick() or requests_send() is due; MS_NEVER. */
ms_t link_deadline(const granary_client *c);

#endif
