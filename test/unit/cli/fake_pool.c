#include "fake_pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "granary.h"

#define ANSWERS 256

fake_state fake;
static granary_slot_answer answers[ANSWERS];
static unsigned n_answers;
static uint64_t next_slot;
static int event = -1;
static uint32_t wanted_back;

void fake_reset(uint32_t chunks)
{
    fake = (fake_state){.chunks = chunks};
    n_answers = 0;
    next_slot = 0;
    wanted_back = 0;
}

int granary_client_open(granary_client **ret, const granary_client_options *options)
{
    assert(options->event_loop);
    event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    fake.client_open = true;
    *ret = (granary_client *)&fake;
    return 0;
}

void granary_client_close(granary_client *client)
{
    if (!client)
        return;
    assert(!fake.pool_open);
    fake.client_open = false;
    close(event);
}

const char *granary_client_error(const granary_client *client)
{
    (void)client;
    return "";
}

const char *granary_status_text(int status)
{
    (void)status;
    return "failed";
}

int granary_client_fd(const granary_client *client)
{
    (void)client;
    return event;
}

int granary_client_timeout(const granary_client *client)
{
    (void)client;
    return -1;
}

int granary_client_dispatch(granary_client *client)
{
    uint64_t value;

    (void)client;
    if (fake.lost_after && fake.calls >= fake.lost_after)
        return GRANARY_E_LOST;
    return read(event, &value, sizeof value) < 0 ? 0 : 0;
}

const char *granary_host_name(granary_client *client, uint32_t host)
{
    (void)client;
    (void)host;
    return "barn";
}

void granary_broker_id(granary_client *client, char to[GRANARY_BROKER_ID_MAX])
{
    (void)client;
    strcpy(to, "books");
}

uint32_t granary_local_host(granary_client *client)
{
    (void)client;
    return 0;
}

granary_pool *granary_pool_open(granary_client *client, const granary_pool_options *options)
{
    assert(client && options->want >= 1);
    fake.pool_open = true;
    fake.held = fake.chunks < options->want ? fake.chunks : options->want;
    fake.want = options->want;
    return (granary_pool *)&fake;
}

void granary_pool_close(granary_pool *pool)
{
    if (pool)
        fake.pool_open = false;
}

int granary_slot_acquire_n(granary_pool *pool, uint32_t chunks, granary_slot *ret, int timeout_ms)
{
    assert(pool && timeout_ms == 0);
    if (chunks > fake.chunks || chunks > fake.want)
        return GRANARY_E_NEVER;
    if (fake.held - fake.busy < chunks + wanted_back)
        return GRANARY_E_TIMEOUT;
    fake.busy += chunks;
    fake.busy_most = fake.busy > fake.busy_most ? fake.busy : fake.busy_most;
    *ret = (granary_slot){.id = ++next_slot, .chunks = chunks};
    return 0;
}

int granary_slot_acquire(granary_pool *pool, granary_slot *ret, int timeout_ms)
{
    return granary_slot_acquire_n(pool, 1, ret, timeout_ms);
}

static void chunks_back(uint32_t chunks)
{
    fake.busy -= chunks;
    while (wanted_back > 0 && fake.held > fake.busy) {
        wanted_back--;
        fake.held--;
        fake.given_back++;
    }
}

int granary_slot_release(granary_pool *pool, const granary_slot *slot, granary_claim_end *ret)
{
    (void)pool;
    (void)ret;
    chunks_back(slot->chunks);
    return 0;
}

int granary_slot_start(granary_pool *pool, const granary_slot *slot, granary_slot_call call, int pidfd, uint64_t tag)
{
    const uint64_t one = 1;
    granary_slot_answer answer = {.tag = tag, .slot = slot->id, .call = call};

    assert(pool && n_answers < ANSWERS && (call == GRANARY_SLOT_RELEASE || pidfd >= 0));
    fake.calls++;
    if (fake.recall_after && fake.calls == fake.recall_after)
        wanted_back++;
    if (call == GRANARY_SLOT_NEXT && wanted_back > 0)
        answer.status = GRANARY_E_STATE;
    else if (call != GRANARY_SLOT_ENTER)
        answer.end = (granary_claim_end){.cause = slot->chunks < fake.oom_below ? 1 : 0, .peak = fake.peak};
    fake.entered += call == GRANARY_SLOT_ENTER;
    fake.next += call == GRANARY_SLOT_NEXT && answer.status == 0;
    if (call == GRANARY_SLOT_RELEASE) {
        fake.released++;
        chunks_back(slot->chunks);
    }
    answers[n_answers++] = answer;
    return write(event, &one, sizeof one) == sizeof one ? 0 : GRANARY_E_SYSTEM;
}

int granary_slot_take(granary_pool *pool, granary_slot_answer *ret)
{
    assert(pool);
    if (n_answers == 0)
        return GRANARY_WAITING;
    *ret = answers[0];
    memmove(answers, answers + 1, --n_answers * sizeof *answers);
    return 0;
}

int granary_pool_want(granary_pool *pool, uint32_t want)
{
    assert(pool && want >= 1);
    fake.want = want;
    fake.held = want < fake.chunks ? want : fake.chunks;
    if (fake.held < fake.busy)
        fake.held = fake.busy;
    return 0;
}

void granary_pool_stats_get(granary_pool *pool, granary_pool_stats *ret)
{
    assert(pool);
    *ret = (granary_pool_stats){.held = fake.held,
                                .want = fake.want,
                                .busy = fake.busy,
                                .wanted_back = wanted_back,
                                .given_back = fake.given_back,
                                .recalls = fake.given_back};
}

uint64_t granary_pool_allocation(granary_pool *pool)
{
    assert(pool);
    return 42;
}

uint64_t granary_slot_claim(granary_pool *pool, const granary_slot *slot)
{
    assert(pool);
    return slot->id + 1000;
}
