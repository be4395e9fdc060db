/*
 * run.c - `granary run`: one command inside a firm lease on one host.
 *
 * look for the program -> fork it behind a gate -> ask for memory -> claim, enter -> open the gate -> follow it to its
 * end. When the request must wait, the child is put into a claim of 0 chunks at once, so that the grant has only to set
 * its limit: moving a process can take the kernel longer than all the rest. Until the gate is open every signal has its
 * plain effect on us and on the waiting child, whose gate ends it when we are gone; from then on we stand in for the
 * command.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/size.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/exits.h"
#include "cli/follow.h"
#include "cli/launch.h"
#include "cli/patience.h"
#include "cli/request.h"
#include "cli/usable.h"
#include "cli/waiting.h"

#define COMMAND_TEXT_MAX 128  /* what the books show of a command line */
#define END_WAIT_MS      2000 /* for the agent to say why a command died */

typedef struct {
    command_call *call;
    request_options request;
    bool verbose;
    launch child;
    granary_client *client;
    granary_allocation held;
    waiting waiting;
    bool attach_tried; /* once is enough: the claim is made after the grant then */
    uint64_t claim;
    uint64_t limit; /* bytes of the claim */
    bool over;      /* that it uses more was told */
} run;

static int run_options(run *r)
{
    option rows[REQUEST_OPTIONS + REQUEST_WAIT_OPTIONS + 1];
    size_t n = request_table(&r->request, rows);

    n += request_wait_table(&r->request, rows + n);
    rows[n++] =
        (option){'v', "verbose", OPTION_FLAG, &r->verbose, NULL, "say why it waits, and at the end what it used"};
    int status = options_parse(r->call, rows, n, OPTIONS_STOP);
    if (status != 0)
        return status;
    if (r->call->argc == 0)
        return options_wrong(r->call, "needs a command to run, after '--'") + 1;
    return 0;
}

static int say_client(const run *r, const char *doing, int status)
{
    char safe[512];
    const char *why = granary_client_error(r->client);

    text_escape(safe, sizeof safe, why[0] ? why : granary_status_text(status));
    options_say(r->call, "%s%s%s", doing, doing[0] ? ": " : "", safe);
    return exits_of_status(status);
}

static int run_connect(run *r)
{
    const granary_client_options options = {.socket = r->call->socket, .program = "granary run", .event_loop = true};
    int status = granary_client_open(&r->client, &options);

    if (status == 0)
        return 0;
    r->client = NULL;
    return request_no_broker(r->call, status);
}

/* The words of the command, for people who look at the books; cut to fit. */
static void command_text(char *const *argv, char to[COMMAND_TEXT_MAX])
{
    size_t used = 0;

    to[0] = '\0';
    for (; *argv && used + 1 < COMMAND_TEXT_MAX; argv++) {
        int n = snprintf(to + used, COMMAND_TEXT_MAX - used, "%s%s", used ? " " : "", *argv);
        used += n > 0 ? (size_t)n : 0;
    }
    char cut[COMMAND_TEXT_MAX];
    text_copy(cut, sizeof cut, to); /* never inside a character */
    memcpy(to, cut, sizeof cut);
}

/* Puts the child into a claim of this host. */
static int run_enter(run *r, uint64_t allocation, uint32_t chunks, uint64_t *ret)
{
    char text[COMMAND_TEXT_MAX];

    command_text(r->call->argv, text);
    return granary_claim_start(r->client, allocation, granary_local_host(r->client), chunks, text, r->child.gate.pidfd,
                               ret);
}

/* It waits: what can be done before the grant is done now. */
static int run_waits(const granary_wait_info *info, void *userdata)
{
    run *r = userdata;
    int stop = waiting_progress(info, &r->waiting);

    if (!stop && !r->attach_tried && granary_local_host(r->client) != UINT32_MAX) {
        r->attach_tried = true;
        if (run_enter(r, info->allocation, 0, &r->claim) < 0)
            r->claim = 0;
    }
    return stop;
}

/* Asks for the memory, in the queue if need be. */
static int run_allocate(run *r)
{
    granary_request request;

    request_fill(&r->request, r->call->argv[0], &request);
    request.flags |= GRANARY_ONE_HOST;
    waiting_init(&r->waiting, r->verbose);
    int status = granary_allocate(r->client, &request, &r->held, run_waits, r);
    waiting_clear(&r->waiting);
    if (status == GRANARY_E_TIMEOUT && r->waiting.reason[0]) {
        options_say(r->call, "no memory within the time given: %s", r->waiting.reason);
        return exits_of_status(status);
    }
    if (status == GRANARY_E_DENIED) {
        options_say(r->call, "%s", request_why(&r->request, status, granary_client_error(r->client)));
        return exits_of_status(status);
    }
    if (status < 0)
        return say_client(r, "", status);
    r->limit = request.chunk_size * request.want;
    return 0;
}

static int run_claim(run *r)
{
    uint32_t here = granary_local_host(r->client);
    uint64_t waited_in = r->claim;
    patience word;

    if (r->held.n_extents != 1 || r->held.extents[0].host != here) {
        options_say(r->call, "the memory was granted on %s, and a command can only be run on this host; use --hosts %s",
                    r->held.n_extents ? granary_host_name(r->client, r->held.extents[0].host) : "no host",
                    granary_host_name(r->client, here));
        return EXIT_FAILED;
    }
    patience_begin(&word, r->call, REQUEST_AGENT_SILENT, PATIENCE_MS);
    int status = waited_in ? granary_claim_shrink(r->client, waited_in, r->held.chunks, -1) : GRANARY_E_NOT_FOUND;
    bool limited = status == 0;
    if (!limited)
        status = run_enter(r, r->held.id, r->held.chunks, &r->claim);
    patience_end(&word);
    if (limited)
        return 0;
    if (status < 0)
        return say_client(r, "cannot put the command under its limit", status);
    if (waited_in) /* nothing is in it any more; its end need not be awaited */
        granary_claim_close(r->client, waited_in, false, 0, NULL);
    return 0;
}

/* Where nothing limits the command, the person who leased too little is told: once while it runs, once at its end. */
static void run_tell_over(const run *r, const char *what, uint64_t used)
{
    char limit[SIZE_TEXT_MAX], size[SIZE_TEXT_MAX];

    options_say(r->call,
                "%s %s, more than the %s of its lease: this host only measures ('granary hosts' says why), and what is "
                "beyond counts as foreign memory; ask for more with -m",
                what, size_format(used, size), size_format(r->limit, limit));
}

static void run_heard(void *userdata)
{
    run *r = userdata;
    uint64_t used = r->over ? 0 : granary_claim_over(r->client, r->claim);

    if (used == 0)
        return;
    r->over = true;
    run_tell_over(r, "the command uses", used);
}

/* What the end of the command means, when it is not simply its exit status. */
static void run_tell_end(run *r, const follow_result *end)
{
    bool limited = granary_host_limited(r->client, r->held.extents[0].host);
    bool failed = !WIFEXITED(end->status) || WEXITSTATUS(end->status) != 0;
    char limit[SIZE_TEXT_MAX], peak[SIZE_TEXT_MAX], next[SIZE_TEXT_MAX];
    granary_claim_end claim = {0};

    if (end->leftovers)
        options_say(r->call,
                    "the command has ended, but processes that it started have not: they keep %s of memory until "
                    "they end (allocation %" PRIu64 ")",
                    size_format(r->limit, limit), r->held.id);
    if (end->lost || end->leftovers || !(failed || r->verbose || !limited))
        return; /* the goodbye ends the lease; nothing more is to be known */
    if (granary_claim_close(r->client, r->claim, false, END_WAIT_MS, &claim) < 0)
        return;
    if (claim.cause == 1)
        options_say(r->call, "out of memory: its limit was %s (peak %s); try -m %s", size_format(r->limit, limit),
                    size_format(claim.peak, peak), size_format(r->limit * 2 / r->held.chunks, next));
    else if (claim.cause == 2)
        options_say(r->call, "the command was ended by Granary (peak %s)", size_format(claim.peak, peak));
    else if (!limited && claim.peak > r->limit)
        run_tell_over(r, "the command used", claim.peak);
    else if (r->verbose)
        options_say(r->call, "the command used at most %s of %s", size_format(claim.peak, peak),
                    size_format(r->limit, limit));
}

/* The command has its memory: opens the gate and follows it. *ret_status is as waitpid() gives it. */
static int run_follow(run *r, int *ret_status)
{
    char books[GRANARY_BROKER_ID_MAX];
    follow_result end = {0};
    follow f;

    if (follow_begin(&f) < 0) {
        options_say(r->call, "cannot watch for signals: %s", strerror(errno));
        return EXIT_FAILED;
    }
    f.heard = run_heard;
    f.userdata = r;
    granary_broker_id(r->client, books);
    int status = launch_open(&r->child, r->held.id, books, r->claim);
    if (status == 0)
        status = follow_wait(&f, r->client, r->child.gate.pid, r->child.gate.pidfd, &end);
    if (status < 0) {
        follow_end(&f);
        options_say(r->call, "cannot start the command: %s", granary_status_text(status));
        return EXIT_FAILED;
    }
    int error = launch_errno(&r->child);
    if (error)
        options_say(r->call, "%s: %s", r->call->argv[0], strerror(error));
    else
        run_tell_end(r, &end);
    follow_end(&f);
    *ret_status = end.status;
    return 0;
}

/* All that can fail before the command ends; its status is *ret_status when this returns 0. */
static int run_steps(run *r, int *ret_status)
{
    int code = run_connect(r);

    if (code == 0 && r->request.chunk_size == 0)
        code = usable_ask(r->call, &r->request.chunk_size);
    if (code == 0)
        code = run_allocate(r);
    if (code == 0)
        code = run_claim(r);
    if (code == 0)
        code = run_follow(r, ret_status);
    return code;
}

int run_run(command_call *call)
{
    run r = {.call = call};
    int status = 0, error;
    int code = run_options(&r);

    if (code != 0)
        return code - 1;
    code = launch_lookup(call->argv[0], &error);
    if (code != 0) {
        char safe[256];
        text_escape(safe, sizeof safe, call->argv[0]);
        options_say(call, "%s: %s", safe,
                    error == ENOENT && !strchr(call->argv[0], '/') ? "command not found" : strerror(error));
        return code;
    }
    code = launch_fork(&r.child, call->argv, call->socket);
    if (code < 0) {
        options_say(call, "cannot start a process: %s", granary_status_text(code));
        return EXIT_FAILED;
    }
    code = run_steps(&r, &status);
    launch_finish(&r.child);
    granary_allocation_finish(&r.held);
    granary_client_close(r.client);
    return code != 0 ? code : follow_mirror(status);
}
