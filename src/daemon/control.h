/*
 * control.h - datagrams between the supervisor and its children: one byte, with what belongs to it.
 *
 * The broker tells the id of its books once, so that the agent finds their groups again before any link is up. A child
 * that asks for a new link sends CONTROL_LINK without a descriptor.
 */
#ifndef GRANARY_DAEMON_CONTROL_H
#define GRANARY_DAEMON_CONTROL_H

#define CONTROL_FD 3 /* in each child */

typedef enum {
    CONTROL_LINK = 'L',   /* with one descriptor: an end of the link */
    CONTROL_READY = 'R',  /* the child is ready */
    CONTROL_BOOKS = 'B',  /* broker: the id of its books follows, 32 characters */
    CONTROL_QUIT = 'Q',   /* please end */
    CONTROL_RELOAD = 'C', /* read the configuration again */
} control_kind;

/* A connected pair, close-on-exec and nonblocking. STATUS_SYSTEM. */
int control_pair(int ret_fds[2]);

/* Best effort: a peer that is gone is noticed by reading. A negative fd: nothing. */
void control_send(int fd, control_kind kind);

/* CONTROL_BOOKS with its id. */
void control_send_books(int fd, const char *id);

/* Sends a link's end; `end` stays the caller's. STATUS_LOST, STATUS_SYSTEM. */
int control_send_link(int fd, int end);

typedef struct {
    control_kind kind;
    int fd;         /* of a link: now the caller's; else -1 */
    char books[33]; /* of CONTROL_BOOKS; else "" */
} control_message;

/* Takes one datagram. 1: `*ret` is filled; 0: none waits; STATUS_LOST: the other side is gone; STATUS_SYSTEM. */
int control_receive(int fd, control_message *ret);

#endif
