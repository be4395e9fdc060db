/*
 * granary.h - lease memory in chunks from a Granary broker, and give it back politely.
 *
 * Two ways to use it:
 *
 *   Pool and slots (most programs). Open a pool, acquire a slot for each task, release the slot when
 *   the task has ended. The pool grows when memory frees up and shrinks when the broker needs
 *   memory; acquire never hands out a slot that is wanted back, release of a wanted slot gives its
 *   chunk back. There is nothing else to get wrong.
 *
 *   Plain calls. Allocate, claim, enter, release: for programs that place their own work.
 *
 * Errors. Functions return 0, a positive named outcome, or a negative granary_status.
 * granary_status_text() gives a sentence; granary_client_error() the last one with its details.
 * On failure nothing was changed, and out-parameters are untouched.
 *
 * Threads. A client, and the pools opened from it, may be used by any number of threads; calls
 * lock the client. Unless it was opened with event_loop, the client runs one thread of its own that
 * answers the broker (recalls, offers) while the program is busy elsewhere; it never calls back into the
 * program except for granary_cache_options.shrink. After fork() a child must not use its
 * parent's client; exec is fine (all descriptors are close-on-exec).
 *
 * Restarts. When the broker restarts, calls wait and go on: the client reattaches by itself within the
 * broker's grace time. When that has passed, calls return GRANARY_E_LOST.
 *
 * Units. Bytes, and milliseconds of a clock that wall-clock steps do not touch.
 */
#ifndef GRANARY_H
#define GRANARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GRANARY_VERSION_MAJOR 0
#define GRANARY_VERSION_MINOR 1
#define GRANARY_VERSION_PATCH 0

#define GRANARY_API __attribute__((visibility("default")))

#define GRANARY_KIB(n) ((uint64_t)(n) << 10)
#define GRANARY_MIB(n) ((uint64_t)(n) << 20)
#define GRANARY_GIB(n) ((uint64_t)(n) << 30)

#define GRANARY_FOREVER (-1) /* a timeout that does not come */

typedef enum {
    GRANARY_OK = 0,
    GRANARY_WAITING = 1,         /* in the queue */
    GRANARY_E_INVALID = -1,      /* an argument is malformed or out of range */
    GRANARY_E_LIMIT = -2,        /* a table of the broker is full */
    GRANARY_E_NEVER = -3,        /* larger than could ever be granted */
    GRANARY_E_QUOTA = -4,        /* over the user's quota */
    GRANARY_E_NOT_NOW = -5,      /* not free now, and asked not to wait */
    GRANARY_E_TIMEOUT = -6,      /* the time given has passed */
    GRANARY_E_DENIED = -7,       /* not yours */
    GRANARY_E_NOT_FOUND = -8,    /* no such allocation, claim, recall or host */
    GRANARY_E_STATE = -9,        /* more than is held, claimed or asked */
    GRANARY_E_STALE = -10,       /* an answer to something that is over */
    GRANARY_E_AGENT = -11,       /* the host's agent could not carry it out */
    GRANARY_E_SILENT = -12,      /* the host is not connected */
    GRANARY_E_PROTOCOL = -13,    /* the other side sent nonsense */
    GRANARY_E_LOST = -14,        /* no broker, or the session is over */
    GRANARY_E_NO_MEMORY = -15,   /* this process could not allocate */
    GRANARY_E_SYSTEM = -16,      /* a system call failed; errno tells */
    GRANARY_E_BUSY = -17,        /* too many connections or requests */
    GRANARY_E_ENDED = -18,       /* the allocation, claim or pool has ended */
    GRANARY_E_VERSION = -19,     /* the broker speaks another version */
    GRANARY_E_DEAD = -20,        /* the process is dead or another one */
    GRANARY_E_INTERRUPTED = -22, /* granary_pool_interrupt() was called */
    GRANARY_E_CLAIMED = -23      /* the process is in another claim already (see GRANARY_STAY) */
} granary_status;

/* Version of the library at run time, "0.1.0". Static storage. */
GRANARY_API const char *granary_version(void);

/* A sentence for a status. Static storage; never NULL. */
GRANARY_API const char *granary_status_text(int status);

/* ---- client ---- */

typedef struct granary_client granary_client;

typedef struct {
    const char *socket;     /* NULL: GRANARY_SOCKET, the system's broker, the user's own */
    const char *program;    /* for people; NULL: the program's name */
    bool no_start;          /* do not start a broker when none runs */
    bool event_loop;        /* no thread: the caller watches granary_client_fd() and dispatches */
    int connect_timeout_ms; /* 0: 5000 */
} granary_client_options;

/*
 * Connects to the broker; starts the user's own when there is none (unless no_start or a socket
 * was named). `options` may be NULL. `*ret` is the caller's, to be closed by
 * granary_client_close(). Errors: E_LOST (no broker), E_VERSION, E_BUSY, E_DENIED, E_NO_MEMORY, E_SYSTEM.
 */
GRANARY_API int granary_client_open(granary_client **ret, const granary_client_options *options);

/*
 * Ends the session and frees the client: its allocations end (claims that still run keep their
 * chunks until they are gone). Pools must be closed before. NULL is fine.
 */
GRANARY_API void granary_client_close(granary_client *client);

/*
 * The last error of the calling thread on this client, with details, or "". Valid until its next call. With NULL: why
 * its last granary_client_open() failed.
 */
GRANARY_API const char *granary_client_error(const granary_client *client);

/*
 * Readable when granary_client_dispatch() has work: for a client with a thread, when something has changed. Constant
 * for the client's life; never read it. Timers are behind it, too.
 */
GRANARY_API int granary_client_fd(const granary_client *client);

/* Milliseconds until dispatch must be called though the fd is silent; -1 = no need (always so in this version). */
GRANARY_API int granary_client_timeout(const granary_client *client);

/* Handles what has arrived, without blocking. Errors: E_LOST when the session is over. */
GRANARY_API int granary_client_dispatch(granary_client *client);

/* ---- allocations (plain calls) ---- */

enum {
    GRANARY_CONTIGUOUS = 1u << 0,
    GRANARY_ONE_HOST = 1u << 1,
    GRANARY_CORE_DEPENDENT = 1u << 2,
    GRANARY_LONG_RUNNING = 1u << 3,
    GRANARY_SHRINKABLE = 1u << 4,
    GRANARY_GROWABLE = 1u << 5,
    GRANARY_RECALLABLE = 1u << 6,
    GRANARY_REVOCABLE = 1u << 7,
    GRANARY_NO_WAIT = 1u << 8,
    GRANARY_KEEP = 1u << 9, /* GROWABLE is RECALLABLE, too, unless this is set: what was granted is never asked back */
    /*
     * For processes that run already: what is claimed stays held after the goodbye, or the end, of its owner, until the
     * claimed processes have ended. A process that is in another claim is refused (E_CLAIMED).
     */
    GRANARY_STAY = 1u << 10
};

typedef struct {
    const char *label;   /* NULL: the program's name */
    uint64_t chunk_size; /* bytes, at least 1 */
    uint32_t want;       /* chunks, at least 1 */
    uint32_t min;        /* 0 with GROWABLE, else 0 means want */
    uint32_t flags;      /* GRANARY_* above */
    int priority;        /* above 0: operator only */
    int64_t notice_ms;   /* 0: the broker's default */
    int64_t wait_ms;     /* how long to queue; 0: for ever */
    const char *hosts;   /* "name,!name,label,key=value"; NULL: any */
} granary_request;

typedef struct {
    uint32_t host; /* see granary_host_name() */
    uint32_t chunks;
} granary_extent;

typedef struct {
    uint64_t id;
    uint64_t version; /* rises with every change */
    uint32_t want;
    uint32_t chunks; /* sum over extents */
    size_t n_extents;
    granary_extent *extents; /* owned; granary_allocation_finish() frees */
} granary_allocation;

typedef struct {
    uint32_t place;      /* in the queue; 1 = first */
    int64_t expected_ms; /* -1: unknown */
    char reason[160];    /* for people */
    uint64_t allocation; /* its number: see granary_claim_start() with 0 chunks */
} granary_wait_info;

/*
 * Asks for memory and waits for it as long as `request->wait_ms` allows (see NO_WAIT). `*ret` is
 * filled; free it with granary_allocation_finish(), which gives nothing back. `progress`, if not
 * NULL, is called as soon as the request is queued, and when place, reason or expected start change; it may call the
 * library. A nonzero answer takes the request back (E_INTERRUPTED).
 * Errors: E_INVALID, E_NEVER, E_QUOTA (granary_client_error() says what the most is), E_NOT_NOW,
 * E_TIMEOUT, E_LIMIT, E_DENIED, E_LOST.
 */
GRANARY_API int granary_allocate(granary_client *client, const granary_request *request, granary_allocation *ret,
                                 int (*progress)(const granary_wait_info *info, void *userdata), void *userdata);
GRANARY_API void granary_allocation_finish(granary_allocation *allocation);

/* Gives chunks back, for good: `n` 0 = all. Chunks whose tasks still run go when those end. E_STATE: more than is held.
 */
GRANARY_API int granary_release(granary_client *client, uint64_t allocation, const granary_extent *extents, size_t n);

/* The broker picks `count` chunks that are not in `busy`, and says which in `*ret` (finish it). */
GRANARY_API int granary_release_n(granary_client *client, uint64_t allocation, uint32_t count,
                                  const granary_extent *busy, size_t n_busy, granary_allocation *ret);

/*
 * Makes a limits group of `chunks` chunks on the local host. `*ret` is its number. A process enters it
 * by granary_claim_enter() before it runs exec. E_STATE: more than is held there and unclaimed.
 */
GRANARY_API int granary_claim_open(granary_client *client, uint64_t allocation, uint32_t host, uint32_t chunks,
                                   const char *command, uint64_t *ret);

/*
 * The same in one round trip with granary_claim_enter() (`pidfd` is borrowed; -1: no process yet). When the process
 * cannot enter, no claim is opened.
 *
 * While the allocation waits in the queue, its owner may put one gated child under a claim of 0 chunks (from `progress`
 * of granary_allocate()): moving a process into a group can take the kernel 20 ms, which is then over when the memory
 * comes. After the grant granary_claim_shrink() gives the claim its chunks; only then open the gate. A child in such a
 * claim is ended with its request. E_STATE: it waits no more (claim what was granted), or has such a claim already.
 */
GRANARY_API int granary_claim_start(granary_client *client, uint64_t allocation, uint32_t host, uint32_t chunks,
                                    const char *command, int pidfd, uint64_t *ret);

/* Moves the process that `pidfd` names (borrowed) under the claim's limit. E_DEAD, E_DENIED (another user's). */
GRANARY_API int granary_claim_enter(granary_client *client, uint64_t claim, int pidfd);

typedef struct {
    int cause;     /* 0 exit, 1 out of memory, 2 killed by Granary */
    uint64_t peak; /* bytes: anonymous, shared and kernel memory */
} granary_claim_end;

/*
 * On a host that measures and does not limit: the bytes that the claim was seen using, when that was more than its
 * size; 0 when no such thing was told. For claims that this client opened by plain calls.
 */
GRANARY_API uint64_t granary_claim_over(granary_client *client, uint64_t claim);

/* The task in the claim has ended: ends what it left running; the claim stays open. `ret` may be NULL. */
GRANARY_API int granary_claim_empty(granary_client *client, uint64_t claim, granary_claim_end *ret);

/*
 * Resizes the claim (also one of 0 chunks), waiting up to `timeout_ms`. Fewer chunks: the agent confirms first that use
 * is below. More: out of what is held there and unclaimed. E_STATE: still above, or more than is held.
 */
GRANARY_API int granary_claim_shrink(granary_client *client, uint64_t claim, uint32_t chunks, int timeout_ms);

/*
 * Ends the claim, with `kill` also what still runs in it, and waits until it is seen empty. `ret` may be NULL. Also a
 * claim that another session opened in an allocation of the same user. E_NOT_FOUND: it has ended, and its end was told.
 */
GRANARY_API int granary_claim_close(granary_client *client, uint64_t claim, bool kill, int timeout_ms,
                                    granary_claim_end *ret);

/* ---- handing an allocation over ---- */

/*
 * For claiming only: a program that was started with GRANARY_ALLOCATION in its environment (`granary harvest` and
 * `granary run` set it; a program may set it for its own children) may open claims in that allocation, as any program
 * of the same user may: granary_claim_start(client, granary_inherited_allocation(), granary_local_host(client), ...).
 * The owner's connection stays the lease. E_STATE from the claim: all chunks of this host are claimed already.
 *
 * This is the number in GRANARY_ALLOCATION; 0 when there is none, or when the program is set-user-ID.
 */
GRANARY_API uint64_t granary_inherited_allocation(void);

/* Number of this client's session: where another program of the same user can transfer an allocation to. Constant. */
GRANARY_API uint64_t granary_session(granary_client *client);

/*
 * Entirely: from now on the connection of the session `session` is the allocation's lease, and this client has nothing
 * to do with it any more (claims go on; what runs in them is not disturbed). The receiver calls
 * granary_allocation_adopt(). E_NOT_FOUND: no such allocation here, or no such session; E_DENIED: the session is
 * another user's; E_INVALID: the session is this client's own; E_STATE: it belongs to a pool or a cache.
 */
GRANARY_API int granary_transfer(granary_client *client, uint64_t allocation, uint64_t session);

/*
 * The receiver's side: takes the allocation into this client, waiting up to `timeout_ms` until it was transferred
 * here. `*ret` (finish it; may be NULL) is what it holds. When this session owns it already, it is only told again.
 * E_DENIED: it was not transferred here in that time; E_NOT_FOUND: there is no such allocation.
 */
GRANARY_API int granary_allocation_adopt(granary_client *client, uint64_t allocation, int timeout_ms,
                                         granary_allocation *ret);

/* The name of a host, or "?". Valid until the client is closed. */
GRANARY_API const char *granary_host_name(granary_client *client, uint32_t host);

/* Whether the host's agent limits what claims use. Where it can only measure ("watch"), false. */
GRANARY_API bool granary_host_limited(granary_client *client, uint32_t host);

/* Number of the host this program runs on, UINT32_MAX when its agent is not connected. */
GRANARY_API uint32_t granary_local_host(granary_client *client);

/* ---- starting a process inside a claim ---- */

#define GRANARY_BROKER_ID_MAX 64

/*
 * The name of the broker's books. Give each task GRANARY_CLAIM="<broker id>.<claim>" in its environment: where nothing
 * can be limited, what a task leaves behind is known by that. Valid also in a forked child, if asked for before the
 * fork.
 */
GRANARY_API void granary_broker_id(granary_client *client, char to[GRANARY_BROKER_ID_MAX]);

/*
 * A child that waits at a gate. granary_gate_fork() forks: in the child it returns 0 and the child must call
 * granary_gate_wait() and then exec; granary_gate_wait() returns only after the parent opened the
 * gate, and ends the child (status 125) when the parent dies before. In the parent it returns the pid.
 */
typedef struct {
    int pid;        /* of the child */
    int pidfd;      /* owned by the gate */
    int fd;         /* owned by the gate */
    uint64_t claim; /* set it before granary_gate_open(): the child finds it here after granary_gate_wait() */
} granary_gate;

GRANARY_API int granary_gate_fork(granary_gate *ret);
GRANARY_API void granary_gate_wait(granary_gate *gate);
GRANARY_API int granary_gate_open(granary_gate *gate);
/* Closes both descriptors; a child that still waits ends. Does not reap. NULL is fine. */
GRANARY_API void granary_gate_finish(granary_gate *gate);

/* ---- pool and slots ---- */

typedef struct granary_pool granary_pool;

typedef struct {
    const char *label;
    uint64_t chunk_size;
    uint32_t min; /* firm chunks; the open waits for these. 0: starts when memory frees up */
    uint32_t want;
    uint32_t flags; /* besides GROWABLE, SHRINKABLE and RECALLABLE, which every pool is */
    int priority;
    int64_t notice_ms;
    const char *hosts;
} granary_pool_options;

/* A place for one task after another: plain data, copy it freely. */
typedef struct {
    uint64_t id;    /* of the slot; 0 = none */
    uint64_t claim; /* left by an earlier task, to be used again; 0 = none yet */
    uint32_t host;
    uint32_t chunks;
} granary_slot;

typedef struct {
    uint32_t held; /* chunks the pool holds now */
    uint32_t want;
    uint32_t busy;        /* chunks in slots that are handed out */
    uint32_t wanted_back; /* chunks recalled and not yet given */
    uint64_t given_back;  /* chunks given back by recall, so far */
    uint64_t recalls;     /* so far */
    uint32_t place;       /* while nothing is held: place in the queue, 0 = not queued */
} granary_pool_stats;

/* NULL when it fails: granary_client_error() tells. Does not wait for memory. */
GRANARY_API granary_pool *granary_pool_open(granary_client *client, const granary_pool_options *options);

/* Gives everything back; slots that are still handed out go when their processes are gone. NULL is fine. */
GRANARY_API void granary_pool_close(granary_pool *pool);

/*
 * Waits up to `timeout_ms` (0 = not at all, GRANARY_FOREVER) for a slot. 0: `*ret` is filled.
 * E_TIMEOUT: none in time. E_ENDED: the pool is over. E_INTERRUPTED, E_NEVER, E_QUOTA, E_LOST.
 */
GRANARY_API int granary_slot_acquire(granary_pool *pool, granary_slot *ret, int timeout_ms);

/* The same for `chunks` chunks on one host at once. E_NEVER: no host could. */
GRANARY_API int granary_slot_acquire_n(granary_pool *pool, uint32_t chunks, granary_slot *ret, int timeout_ms);

/*
 * Puts a gated child (or the caller itself) under the slot's limit; `pidfd` is borrowed. The first one opens the slot's
 * claim in the same round trip; the claim then stays from task to task.
 */
GRANARY_API int granary_slot_enter(granary_pool *pool, const granary_slot *slot, int pidfd);

/*
 * One task has ended and the next one enters the same slot, in one round trip: ends what the earlier task
 * left running, tells its cause and peak in `*ret` (may be NULL), and puts the gated child under the limit.
 * E_STATE: the slot is wanted back; release it (the child's gate stays closed).
 */
GRANARY_API int granary_slot_next(granary_pool *pool, const granary_slot *slot, int pidfd, granary_claim_end *ret);

/*
 * Starts a command in the slot: argv[0] is looked for in PATH. From here on the slot is the library's, which gives it
 * back when the command has ended, and also when it could not be started: do not release it. Returns the child's pid,
 * to be reaped by the program as any child of its own (wait(2)); that may be before or after. Its exit status is 126 or
 * 127 when it could not be executed. The command finds GRANARY_CLAIM and GRANARY_ALLOCATION in its environment.
 * Errors: as granary_slot_enter(), E_INVALID (no command), E_SYSTEM (fork), E_NO_MEMORY.
 */
GRANARY_API int granary_slot_spawn(granary_pool *pool, const granary_slot *slot, char *const argv[]);

/* Number of the slot's claim now (granary_slot.claim is that of the moment of acquire); 0 before the first enter. */
GRANARY_API uint64_t granary_slot_claim(granary_pool *pool, const granary_slot *slot);

/* The task in the slot will end in about `ms`. Optional: it only improves the broker's choice. */
GRANARY_API int granary_slot_expect(granary_pool *pool, const granary_slot *slot, int64_t ms);

/*
 * The task has ended. What it left running in the slot is killed; the slot is ready for the next task, or, when wanted
 * back, its chunk goes. `ret`, if not NULL, tells cause and peak of this task (waits for the agent).
 * E_STATE: not handed out (released twice).
 */
GRANARY_API int granary_slot_release(granary_pool *pool, const granary_slot *slot, granary_claim_end *ret);

/* More or fewer chunks from now on. Lowering never takes a slot that is handed out. */
GRANARY_API int granary_pool_want(granary_pool *pool, uint32_t want);

/* Makes every waiting and later acquire return E_INTERRUPTED. Async-signal-safe. */
GRANARY_API void granary_pool_interrupt(granary_pool *pool);

GRANARY_API void granary_pool_stats_get(granary_pool *pool, granary_pool_stats *ret);

/* Number of the pool's allocation (GRANARY_ALLOCATION of its tasks); 0 before the broker has answered the first
 * request. */
GRANARY_API uint64_t granary_pool_allocation(granary_pool *pool);

/*
 * The three calls above without waiting, for event loops that run many short tasks: start one, go on, and take its
 * answer after a dispatch. At most one started call for each slot at a time (E_STATE), and as many at once as there are
 * slots.
 */
typedef enum {
    GRANARY_SLOT_ENTER = 1, /* granary_slot_enter() */
    GRANARY_SLOT_NEXT,      /* granary_slot_next() */
    GRANARY_SLOT_RELEASE    /* granary_slot_release(): the slot is the pool's again at once */
} granary_slot_call;

typedef struct {
    uint64_t tag; /* as given at the start */
    uint64_t slot;
    granary_slot_call call;
    int status;            /* what the waiting call would have returned */
    granary_claim_end end; /* NEXT, RELEASE: of the task that ended; cause 0, peak 0 when status is negative */
} granary_slot_answer;

/* `pidfd` (ENTER, NEXT; else ignored) is borrowed for this call only. Errors: E_STATE, E_INVALID, E_LOST: no answer
 * follows. */
GRANARY_API int granary_slot_start(granary_pool *pool, const granary_slot *slot, granary_slot_call call, int pidfd,
                                   uint64_t tag);

/* Takes the oldest answer that has arrived; GRANARY_WAITING: none yet. */
GRANARY_API int granary_slot_take(granary_pool *pool, granary_slot_answer *ret);

/* For event loops: the client's fd and dispatch, under the pool's name. After dispatch try acquire with 0. */
GRANARY_API int granary_pool_fd(const granary_pool *pool);
GRANARY_API int granary_pool_dispatch(granary_pool *pool);

/* ---- a program that uses its chunks itself ---- */

typedef struct granary_cache granary_cache;

typedef struct {
    const char *label;
    uint64_t chunk_size;
    uint32_t min, want; /* min 0 means 1: the program's own memory is in the claim, too */
    /*
     * Asked to use at most `bytes`. Free memory (and return it to the kernel), then return; called on the client's
     * thread, or inside dispatch for event-loop clients. The chunks go once the agent sees that use is below.
     */
    void (*shrink)(uint64_t bytes, void *userdata);
    void (*grow)(uint64_t bytes, void *userdata); /* may use up to `bytes` now; may be NULL */
    void *userdata;
} granary_cache_options;

/*
 * Claims the calling process, with all of its memory, for a new growable allocation; waits for `min` chunks. One for a
 * process. Errors as granary_allocate(), and E_AGENT, E_DENIED from the claim.
 */
GRANARY_API int granary_cache_open(granary_client *client, const granary_cache_options *options, granary_cache **ret);
GRANARY_API uint64_t granary_cache_bytes(const granary_cache *cache); /* may be used now */

/* No more callbacks. The chunks go when this process ends: its memory is still charged. Not from a callback. NULL is
 * fine. */
GRANARY_API void granary_cache_close(granary_cache *cache);

#ifdef __cplusplus
}
#endif
#endif
