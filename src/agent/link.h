/*
 * link.h - the conversation with one broker: hello, orders in, answers and samples out.
 *
 * One link at a time; when a new one is handed in, the old one is dropped. Claims outlive links.
 */
#ifndef GRANARY_AGENT_LINK_H
#define GRANARY_AGENT_LINK_H

#include <uv.h>

#include "agent/backend.h"
#include "agent/claims.h"

typedef struct {
    uv_loop_t *loop;
    const procfs *proc;
    backend *backend;
    const char *host;
    const char *books; /* a hint for the first hello: "" or a broker's id */
    bytes_t physical, total;
    uint64_t sample_ms;
    void (*lost)(void *context); /* the link ended; may be NULL */
    void *context;
} link_options;

typedef struct agent_link agent_link;

int agent_link_create(agent_link **ret, const link_options *options, watchpid *set);
/* Takes over `fd` and says hello. The link is down again when this fails. */
int agent_link_up(agent_link *l, int fd);
/* Links in a row, since the last one that a live set was complete on, that failed for want of memory. */
uint32_t agent_link_starved(const agent_link *l);
bool agent_link_is_up(const agent_link *l);
/* Closes handles; memory goes with agent_link_destroy() after the loop's last turn. */
void agent_link_stop(agent_link *l);
void agent_link_destroy(agent_link *l);

#endif
