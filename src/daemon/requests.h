/*
 * requests.h - from a client's message to an event of the core, with everything checked on the way.
 *
 * Which message may come at all was decided by frame_admit() from the header; here its body is unpacked into the
 * scratch and looked at: sizes, texts, lengths of lists, numbers that would overflow. What the core decides (who owns
 * what, how much is held) is left to it.
 */
#ifndef GRANARY_DAEMON_REQUESTS_H
#define GRANARY_DAEMON_REQUESTS_H

#include "core/core.h"
#include "proto/scratch.h"
#include "proto/channel.h"

#define REQUEST_WHY_MAX 200u

/* Where the lists of one request lie until its step is over. */
typedef struct {
    extent extents[EXTENTS_MAX];
    offer_item items[OFFER_MAX];
    ms_t default_notice;
} request_room;

/*
 * Fills `*ret` from the frame, but for its `request` header and for handles, which are the caller's. Drain and Undrain
 * are named by host: `find_host` gives the number, or STATUS_NOT_FOUND. Returns 0; STATUS_INVALID or STATUS_NOT_FOUND
 * with a sentence in `why`: to be answered, the connection stays; STATUS_PROTOCOL with a sentence: the connection must
 * go; STATUS_NO_MEMORY: the body unpacks to more than the scratch holds, or its list is too long.
 */
int request_read(request_room *room, scratch *s, const frame *f,
                 int (*find_host)(void *userdata, const char *name, host_id *ret), void *userdata, core_event *ret,
                 char *why, size_t why_size);

/*
 * Unpacks a body strictly: nothing unknown in it, nothing behind it. NULL: malformed, or too large for the scratch
 * (then s->full is set). The message lives in the scratch.
 */
ProtobufCMessage *request_unpack(scratch *s, const ProtobufCMessageDescriptor *descriptor, const frame *f);

#endif
