/*
 * spawn.c - granary_slot_spawn(): a command in a slot, from its gate to the slot's release.
 */
#include "client/spawn.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/status.h"
#include "client/client.h"
#include "client/pool.h"

#define EXEC_NOT_FOUND 127
#define EXEC_FAILED    126
#define CLAIM_NAME     "GRANARY_CLAIM="
#define ALLOCATION     "GRANARY_ALLOCATION="
#define DIGITS_MAX     20u /* of a 64-bit number */

struct spawned {
    spawned *next;
    granary_pool *pool;
    granary_slot slot;
    int pidfd; /* owned, watched by the loop */
};

/* The child's environment, made before the fork: between fork and exec nothing may be allocated. */
typedef struct {
    char **entries; /* owned; the texts are the program's own but for these two */
    char allocation[sizeof ALLOCATION + DIGITS_MAX];
    char claim[sizeof CLAIM_NAME + GRANARY_BROKER_ID_MAX + 1 + DIGITS_MAX];
    size_t claim_used; /* where the claim's number goes: known once the gate opens */
} child_environment;

static bool is_ours(const char *entry)
{
    return strncmp(entry, CLAIM_NAME, sizeof CLAIM_NAME - 1) == 0 ||
           strncmp(entry, ALLOCATION, sizeof ALLOCATION - 1) == 0;
}

static int environment_make(granary_pool *p, child_environment *ret)
{
    size_t n = 0, used = 0;
    while (environ && environ[n])
        n++;
    ret->entries = calloc(n + 3, sizeof *ret->entries);
    if (!ret->entries)
        return STATUS_NO_MEMORY;
    for (size_t i = 0; i < n; i++)
        if (!is_ours(environ[i]))
            ret->entries[used++] = environ[i];
    ret->entries[used++] = ret->allocation;
    ret->entries[used] = ret->claim;
    (void)snprintf(ret->allocation, sizeof ret->allocation, ALLOCATION "%llu",
                   (unsigned long long)granary_pool_allocation(p));
    char books[GRANARY_BROKER_ID_MAX];
    granary_broker_id(p->client, books);
    ret->claim_used = (size_t)snprintf(ret->claim, sizeof ret->claim, CLAIM_NAME "%s.", books);
    return 0;
}

/* In the child, which shares nothing but memory with a program of many threads: only what is safe after a fork. */
static void __attribute__((noreturn)) child_run(granary_gate *gate, char *const argv[], child_environment *environment)
{
    char digits[DIGITS_MAX];
    unsigned n = 0;
    granary_gate_wait(gate);
    uint64_t number = gate->claim;
    do
        digits[n++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    char *at = environment->claim + environment->claim_used;
    while (n > 0)
        *at++ = digits[--n];
    *at = '\0';
    execvpe(argv[0], argv, environment->entries);
    _exit(errno == ENOENT ? EXEC_NOT_FOUND : EXEC_FAILED);
}

/* From now on the loop waits for its end. Takes over the gate's pidfd. */
static int spawned_add(spawned *s, granary_gate *gate)
{
    granary_client *c = s->pool->client;
    pthread_mutex_lock(&c->lock);
    int r = loop_watch(&c->loop, gate->pidfd, false, true);
    if (r == 0) {
        s->pidfd = gate->pidfd;
        gate->pidfd = -1;
        s->next = c->spawned;
        c->spawned = s;
    }
    pthread_mutex_unlock(&c->lock);
    return r;
}

/* A child at its gate goes into the slot and on. On failure it has ended, and was reaped. */
static int child_start(spawned *s, granary_gate *gate)
{
    int pid = gate->pid;
    int r = granary_slot_enter(s->pool, &s->slot, gate->pidfd);
    if (r == 0) {
        gate->claim = granary_slot_claim(s->pool, &s->slot);
        r = spawned_add(s, gate);
        if (r == 0) {
            granary_gate_open(gate); /* a child that was killed meanwhile rings like any other */
            granary_gate_finish(gate);
            return pid;
        }
        client_fail(s->pool->client, r, "%s", strerror(errno));
    }
    assert(r < 0);                                                 /* the caller frees s by that */
    syscall(SYS_pidfd_send_signal, gate->pidfd, SIGKILL, NULL, 0); /* another child may hold its gate open */
    granary_gate_finish(gate);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return r;
}

/* What needs memory comes before the fork. */
static int spawned_start(granary_pool *p, const granary_slot *slot, char *const argv[])
{
    granary_client *c = p->client;
    child_environment environment = {0};
    granary_gate gate;
    spawned *s = calloc(1, sizeof *s);
    if (!s || environment_make(p, &environment) < 0) {
        free(s);
        return client_fail(c, STATUS_NO_MEMORY, "%s", "");
    }
    *s = (spawned){.pool = p, .slot = *slot, .pidfd = -1};
    int r = granary_gate_fork(&gate);
    if (r == 0)
        child_run(&gate, argv, &environment);
    if (r < 0)
        client_fail(c, r, "fork: %s", strerror(errno));
    else
        r = child_start(s, &gate);
    free(environment.entries);
    if (r < 0)
        free(s);
    return r;
}

int granary_slot_spawn(granary_pool *p, const granary_slot *slot, char *const argv[])
{
    granary_client *c = p->client;
    int r;
    if (argv && argv[0])
        r = spawned_start(p, slot, argv);
    else
        r = client_fail(c, STATUS_INVALID, "a command is needed to start one");
    if (r < 0) {
        pthread_mutex_lock(&c->lock);
        slot_give_surely(p, slot);
        pthread_mutex_unlock(&c->lock);
    }
    return r;
}

bool spawned_ended(granary_client *c, int fd)
{
    spawned **at = &c->spawned;
    while (*at && (*at)->pidfd != fd)
        at = &(*at)->next;
    spawned *s = *at;
    if (!s)
        return false;
    *at = s->next;
    if (slot_give(s->pool, &s->slot) == STATUS_NO_MEMORY) {
        s->next = c->spawned; /* it rings again in the next turn */
        c->spawned = s;
        return true;
    }
    loop_unwatch(&c->loop, s->pidfd);
    close(s->pidfd);
    free(s);
    return true;
}

bool spawned_holds(const granary_pool *p, uint64_t slot)
{
    const spawned *s = p->client->spawned;
    while (s && !(s->pool == p && s->slot.id == slot))
        s = s->next;
    return s != NULL;
}

void spawned_forget(granary_pool *p)
{
    granary_client *c = p->client;
    for (spawned **at = &c->spawned, *s; (s = *at);) {
        if (s->pool != p) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        loop_unwatch(&c->loop, s->pidfd);
        close(s->pidfd);
        free(s);
    }
}
