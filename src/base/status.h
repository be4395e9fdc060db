/*
 * status.h - what a call may answer, one numbering for core, protocol and library.
 *
 * Zero is success. A positive status is a named outcome that this caller must look at.
 * A negative status is an error that goes straight up. The numbers are part of the wire
 * protocol and of <granary.h> (checked there by static asserts): never renumber.
 */
#ifndef GRANARY_BASE_STATUS_H
#define GRANARY_BASE_STATUS_H

enum status {
    STATUS_OK = 0,

    STATUS_WAITING = 1,    /* the request is in the queue; a push will tell its end */
    STATUS_OFFER_NONE = 2, /* nothing was wanted back (any more) */

    STATUS_INVALID = -1,      /* an argument is malformed or out of range */
    STATUS_LIMIT = -2,        /* a table of the broker is full */
    STATUS_NEVER = -3,        /* larger than every host could ever grant */
    STATUS_QUOTA = -4,        /* over the user's quota */
    STATUS_NOT_NOW = -5,      /* not free now, and the request said not to wait */
    STATUS_TIMEOUT = -6,      /* waited as long as the request allowed */
    STATUS_DENIED = -7,       /* not the owner, nor the operator */
    STATUS_NOT_FOUND = -8,    /* no such allocation, claim, recall or host */
    STATUS_STATE = -9,        /* not possible in the present state: more than is held, claimed, asked */
    STATUS_STALE = -10,       /* an answer to something that is over, or an old number */
    STATUS_AGENT = -11,       /* the host's agent could not carry it out */
    STATUS_SILENT = -12,      /* the host is not connected */
    STATUS_PROTOCOL = -13,    /* a message that is malformed or not allowed here */
    STATUS_LOST = -14,        /* the connection or the session is gone */
    STATUS_NO_MEMORY = -15,   /* the process itself could not allocate */
    STATUS_SYSTEM = -16,      /* a system call failed; errno tells */
    STATUS_BUSY = -17,        /* too many connections or requests at once */
    STATUS_ENDED = -18,       /* the allocation or claim has ended */
    STATUS_VERSION = -19,     /* the other side speaks another version */
    STATUS_DEAD = -20,        /* the process is dead, or is not the one that was meant */
    STATUS_CORRUPT = -21,     /* stored data fails its checks */
    STATUS_INTERRUPTED = -22, /* the caller asked the wait to end */
    STATUS_CLAIMED = -23,     /* the process is in another claim already */
};

/* Short name ("NEVER") of a status, or "UNKNOWN". Static storage. */
const char *status_name(int status);

/* One sentence for people, without a full stop. Static storage. */
const char *status_text(int status);

#endif
