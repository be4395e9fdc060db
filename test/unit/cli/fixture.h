/*
 * fixture.h - a small set of books for the tests: one host of 3 GiB, one allocation with a claim, one waiter, one
 * recall.
 *
 * Everything is static and consistent; a test changes what it wants to see noticed. fixture_reset() builds it anew.
 */
#ifndef TEST_CLI_FIXTURE_H
#define TEST_CLI_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/units.h"
#include "client/query.h"

static Granary__HostInfo host;
static Granary__HoldingInfo holding;
static Granary__AllocationInfo allocation, asking;
static Granary__ClaimInfo claim;
static Granary__WaiterInfo waiter;
static Granary__RecallInfo recall;
static Granary__QueryReply part;
static int32_t pids[2];
static snapshot books;

static Granary__HostInfo *hosts[] = {&host};
static Granary__HoldingInfo *holdings[] = {&holding};
static Granary__AllocationInfo *allocations[] = {&allocation, &asking};
static Granary__ClaimInfo *claims[] = {&claim};
static Granary__WaiterInfo *waiters[] = {&waiter};
static Granary__RecallInfo *recalls[] = {&recall};
static Granary__QueryReply *parts[] = {&part};

static inline void fixture_host(void)
{
    granary__host_info__init(&host);
    host.id = 0;
    host.name = (char *)"one";
    host.state = (char *)"up";
    host.enforcement = (char *)"cgroup v1";
    host.enforcement_reason = (char *)"the memory controller is version 1";
    host.cores = 4;
    host.total = GIB(3);
    host.set_aside = MIB(512);
    host.granted = MIB(1400);
    host.free = GIB(3) - MIB(512) - MIB(1400);
    host.used = MIB(600);
}

static inline void fixture_allocations(void)
{
    granary__holding_info__init(&holding);
    holding.chunks = 2;
    holding.claimed = 1;
    granary__allocation_info__init(&allocation);
    allocation.id = 7;
    allocation.label = (char *)"thumbs";
    allocation.uid = 4000000;
    allocation.pid = 100;
    allocation.chunk_size = MIB(700);
    allocation.min = 1;
    allocation.want = 4;
    allocation.chunks = 2;
    allocation.state = (char *)"live";
    allocation.age_ms = 2500;
    allocation.n_holdings = 1;
    allocation.holdings = holdings;
    granary__allocation_info__init(&asking);
    asking.id = 8;
    asking.label = (char *)"big";
    asking.uid = 4000000;
    asking.pid = 101;
    asking.chunk_size = GIB(2);
    asking.min = asking.want = 1;
    asking.state = (char *)"waiting";
    granary__claim_info__init(&claim);
    claim.id = 5;
    claim.allocation = 7;
    claim.chunks = 1;
    claim.used = MIB(600);
    claim.peak = MIB(650);
    claim.command = (char *)"xz -9";
    claim.state = (char *)"open";
    pids[0] = 200;
    claim.pids = pids;
    claim.n_pids = 1;
}

static inline void fixture_reset(void)
{
    fixture_host();
    fixture_allocations();
    granary__waiter_info__init(&waiter);
    waiter.allocation = &asking;
    waiter.place = 1;
    waiter.waiting_ms = 1500;
    waiter.reason = (char *)"a recall for it is under way";
    waiter.missing = MIB(888);
    granary__recall_info__init(&recall);
    recall.id = 3;
    recall.allocation = 7;
    recall.beneficiary = 8;
    recall.reason = (char *)"waiter";
    recall.asked = 1;
    recall.deadline_ms = 60000;
    recall.any_host = true;
    granary__query_reply__init(&part);
    part.broker_id = (char *)"abc";
    books = (snapshot){
        .sequence = 42,
        .broker = "pid 1",
        .sessions = 2,
        .hosts = hosts,
        .n_hosts = 1,
        .allocations = allocations,
        .n_allocations = 2,
        .claims = claims,
        .n_claims = 1,
        .queue = waiters,
        .n_queue = 1,
        .recalls = recalls,
        .n_recalls = 1,
        .parts = parts,
        .n_parts = 1,
    };
}

static inline int fixture_setup(void **state)
{
    (void)state;
    fixture_reset();
    return 0;
}

#endif
