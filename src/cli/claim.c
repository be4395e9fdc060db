/*
 * claim.c - `granary claim`: takes an already running program into the books.
 *
 * Returns at once: the session says goodbye, and by its terms (STAY) the allocation goes on without an owner until the
 * process has ended.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/size.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/exits.h"
#include "cli/patience.h"
#include "cli/request.h"
#include "cli/usable.h"
#include "cli/waiting.h"

#define COMM_MAX 64

typedef struct {
    command_call *call;
    request_options request;
    uint32_t pid;
    bool verbose;
    char name[COMM_MAX];
    granary_client *client;
    granary_allocation held;
    uint64_t claim;
} claim;

static int claim_options(claim *c)
{
    option rows[REQUEST_OPTIONS + REQUEST_WAIT_OPTIONS + 2];
    size_t n = request_table(&c->request, rows);

    n += request_wait_table(&c->request, rows + n);
    rows[n++] = (option){0, "pid", OPTION_COUNT, &c->pid, "PID", "the process to take in"};
    rows[n++] = (option){'v', "verbose", OPTION_FLAG, &c->verbose, NULL, "say why it waits"};
    int r = options_parse(c->call, rows, n, OPTIONS_ALONE);
    if (r != 0)
        return r;
    if (c->pid == 0)
        return options_wrong(c->call, "needs --pid PID") + 1;
    if (c->pid > INT32_MAX)
        return options_wrong(c->call, "--pid: %u is too large for a process", c->pid) + 1;
    return 0;
}

static void read_name(claim *c)
{
    char path[32];

    snprintf(path, sizeof path, "/proc/%u/comm", c->pid);
    FILE *f = fopen(path, "re");
    if (!f || !fgets(c->name, sizeof c->name, f))
        snprintf(c->name, sizeof c->name, "pid %u", c->pid);
    c->name[strcspn(c->name, "\n")] = '\0';
    if (f)
        fclose(f);
}

static int say_client(const claim *c, int status)
{
    char safe[512];
    const char *why = granary_client_error(c->client);

    text_escape(safe, sizeof safe, why[0] ? why : granary_status_text(status));
    options_say(c->call, "%s", safe);
    return exits_of_status(status);
}

/* With the number that was given, which the agent's reason does not tell. */
static int say_refused(const claim *c, int status)
{
    char safe[512];
    const char *why = granary_client_error(c->client);

    text_escape(safe, sizeof safe, why);
    if (status == GRANARY_E_DENIED)
        options_say(c->call, "process %u may not be claimed: %s", c->pid, why[0] ? safe : granary_status_text(status));
    else if (status == GRANARY_E_CLAIMED)
        options_say(c->call, "process %u: %s", c->pid, why[0] ? safe : granary_status_text(status));
    else if (status == GRANARY_E_SYSTEM)
        options_say(c->call, "the kernel does not let process %u into a limits group (is it a kernel thread?)", c->pid);
    else
        return say_client(c, status);
    return exits_of_status(status);
}

static int claim_make(claim *c, int pidfd)
{
    granary_request request;
    waiting w;
    patience word;

    request_fill(&c->request, c->name, &request);
    request.flags |= GRANARY_ONE_HOST | GRANARY_STAY;
    waiting_init(&w, c->verbose);
    int r = granary_allocate(c->client, &request, &c->held, waiting_progress, &w);
    waiting_clear(&w);
    if (r == GRANARY_E_DENIED) {
        options_say(c->call, "%s", request_why(&c->request, r, granary_client_error(c->client)));
        return exits_of_status(r);
    }
    if (r < 0)
        return say_client(c, r);
    uint32_t here = granary_local_host(c->client);
    if (c->held.n_extents != 1 || c->held.extents[0].host != here) {
        options_say(c->call,
                    "the memory was granted on %s, and a process can only be claimed on its own host; use --hosts %s",
                    c->held.n_extents ? granary_host_name(c->client, c->held.extents[0].host) : "no host",
                    granary_host_name(c->client, here));
        return EXIT_FAILED;
    }
    patience_begin(&word, c->call, REQUEST_AGENT_SILENT, PATIENCE_MS);
    r = granary_claim_start(c->client, c->held.id, here, c->held.chunks, c->name, pidfd, &c->claim);
    patience_end(&word);
    return r < 0 ? say_refused(c, r) : 0;
}

static int claim_steps(claim *c, int pidfd)
{
    const granary_client_options options = {.socket = c->call->socket, .program = "granary claim", .event_loop = true};
    char size[SIZE_TEXT_MAX], name[COMM_MAX * 4];
    int code = 0, r = granary_client_open(&c->client, &options);

    if (r < 0) {
        c->client = NULL;
        return request_no_broker(c->call, r);
    }
    if (c->request.chunk_size == 0)
        code = usable_ask(c->call, &c->request.chunk_size);
    if (code == 0)
        code = claim_make(c, pidfd);
    if (code != 0)
        return code;
    text_escape(name, sizeof name, c->name);
    printf("Process %u (%s) holds %u x %s: allocation %" PRIu64 ", claim %" PRIu64
           ", until it ends. What it already used is measured, not limited.\n",
           c->pid, name, c->held.chunks, size_format(c->request.chunk_size, size), c->held.id, c->claim);
    return books_flush(c->call);
}

int claim_run(command_call *call)
{
    claim c = {.call = call};
    int code = claim_options(&c);

    if (code != 0)
        return code - 1;
    int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)c.pid, 0);
    if (pidfd < 0) {
        options_say(call, "process %u: %s", c.pid, errno == ESRCH ? "there is no such process" : strerror(errno));
        return EXIT_NO;
    }
    read_name(&c);
    code = claim_steps(&c, pidfd);
    close(pidfd);
    granary_allocation_finish(&c.held);
    granary_client_close(c.client);
    return code;
}
