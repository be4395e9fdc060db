/*
 * view.h - reading the books: what replies, the CLI and the tests show.
 *
 * Every function fills a plain struct from the present state; nothing is borrowed unless said.
 * Iteration: start with a cursor of 0; the functions return true and advance while there is one
 * more. Cursors stay valid as long as no step is made.
 */
#ifndef GRANARY_CORE_VIEW_H
#define GRANARY_CORE_VIEW_H

#include "core/core.h"

typedef enum { HOST_UNKNOWN = 1, HOST_UP, HOST_DRAINING, HOST_SUSPECT, HOST_LOST } host_view_state;

typedef struct {
    host_id id;
    const char *name, *labels; /* borrowed until the next step */
    host_view_state state;     /* UNKNOWN: connected, no fresh sample yet */
    bool limited, home, permanent, draining;
    uint32_t cores;
    bytes_t total, set_aside, foreign, granted, returning, held, quarantine, free, overdraft;
    bytes_t used; /* by claims, last told */
} host_view;

typedef struct {
    allocation_id id;
    const allocation_terms *terms; /* borrowed */
    session_id owner;              /* none: its owner is gone, claims keep it */
    user_id user;
    int32_t pid;
    allocation_state state;
    uint64_t version;
    chunks_t want, chunks, returning, recalled; /* recalled: asked and not yet answered */
    ms_t since;                                 /* allocated or queued */
    uint32_t claims;
} allocation_view;

typedef struct {
    host_id host;
    chunks_t held, returning, claimed;
} holding_view;

typedef struct {
    generation gen;
    allocation_id allocation;
    host_id host;
    chunks_t chunks;
    claim_state state;
    bytes_t used, peak;
    uint32_t processes;
    const char *command; /* borrowed */
} claim_view;

typedef struct {
    allocation_view allocation;
    uint32_t place; /* 1 = first */
    ms_t waiting_ms;
    wait_reason reason;
    bytes_t missing;  /* for FIRST, RECALL, HELD, RETURNING */
    ms_t expected_ms; /* MS_NEVER = unknown */
} waiter_view;

typedef struct {
    record_recall record;
    chunks_t offered; /* in the last offer */
    chunks_t preferred;
} recall_view;

/* Bytes of a host that are free and that no waiting request can use, and why. */
typedef enum {
    STRANDED_PIECE = 1,
    STRANDED_DRAINING,
    STRANDED_SILENT,
    STRANDED_EXCLUDED,
    STRANDED_FRESH
} stranded_reason;

/* What every message about an allocation tells. */
typedef struct {
    uint64_t version;
    allocation_state state;
    chunks_t want;
    uint32_t n_extents;
    extent extents[EXTENTS_MAX]; /* chunks held */
} set_view;

bool view_host(const core *core, uint32_t *cursor, host_view *ret);
bool view_allocation(const core *core, uint32_t *cursor, allocation_view *ret);
bool view_holding(const core *core, allocation_id id, uint32_t *cursor, holding_view *ret);
bool view_claim(const core *core, uint32_t *cursor, claim_view *ret);
bool view_waiter(const core *core, ms_t now, uint32_t *cursor, waiter_view *ret);
bool view_recall(const core *core, uint32_t *cursor, recall_view *ret);

/* Each fills `*ret` for one id, or returns STATUS_NOT_FOUND. */
int view_host_by_id(const core *core, host_id id, host_view *ret);
int view_host_by_name(const core *core, const char *name, host_view *ret);
int view_allocation_by_id(const core *core, allocation_id id, allocation_view *ret);
int view_set(const core *core, allocation_id id, set_view *ret);
int view_claim_by_gen(const core *core, generation gen, claim_view *ret);
int view_recall_by_id(const core *core, recall_id id, recall_view *ret);
int view_waiter_by_id(const core *core, ms_t now, allocation_id id, waiter_view *ret);

/* NULL when it is gone. Borrowed until the next step. */
const char *view_label(const core *core, allocation_id id);

/* The highest request number of a session that the books have seen; 0 when there is none, or no such session. */
request_no view_session_seen(const core *core, session_id id);

/* Counts, for limits and for idling out. */
typedef struct {
    uint32_t hosts, sessions, attached, allocations, waiting, claims, recalls;
} totals_view;
void view_totals(const core *core, totals_view *ret);

/* Free bytes of one host that no waiting request can use now (0 when nobody waits), and why. */
bytes_t view_stranded(const core *core, host_id id, stranded_reason *ret_reason);

/* Plain words for each enum, as every surface prints them. Static storage. */
const char *host_view_state_name(host_view_state state);
const char *wait_reason_text(wait_reason reason);
const char *recall_reason_name(recall_reason reason);
const char *stranded_reason_name(stranded_reason reason);

#endif
