/*
 * judge_hosts.c - what is known of each host without the core: its memory, what its owner keeps, what others use there.
 *
 * Samples are smoothed: a rise counts after two of them, a fall slowly. So of foreign memory only bounds are known: at
 * least the smaller of the last two samples, at most what a slow fall leaves of the greatest.
 */
#include <string.h>

#include "judge_inner.h"

#define FALL_AT_LEAST 16u /* of the difference, with each sample */

static bytes_t least(bytes_t a, bytes_t b)
{
    return a < b ? a : b;
}

static bytes_t above(bytes_t a, bytes_t b)
{
    return a > b ? a - b : 0;
}

const char *judge_host_name(const judges *j, host_id h)
{
    if (h.v == HOST_NONE.v)
        return "any host";
    return h.v < j->sim->n_hosts && j->sim->machines[h.v] ? machine_name(j->sim->machines[h.v]) : "an unknown host";
}

static host_facts *by_name(judges *j, const char *name, host_id *ret)
{
    for (uint32_t i = 0; i < j->sim->n_hosts; i++)
        if (strcmp(machine_name(j->sim->machines[i]), name) == 0) {
            ret->v = i;
            return &j->hosts[i];
        }
    return NULL;
}

/* ---- what is told ---- */

static void config_host(judges *j, const event_config_host *e)
{
    host_id id;
    if (strcmp(e->name, "*") == 0) {
        j->host_default.config_total = e->total;
        j->host_default.config_aside = e->set_aside;
        return;
    }
    host_facts *h = by_name(j, e->name, &id);
    if (!h)
        return;
    h->config_total = e->total;
    h->config_aside = e->set_aside;
    h->configured = true;
}

static void config_user(judges *j, const event_config_user *e)
{
    for (uint32_t i = 0; i < j->users.n; i++)
        if (j->users.items[i].user.v == e->user.v) {
            j->users.items[i] = *e;
            return;
        }
    *VECTOR_ADD(&j->users) = *e;
}

static void hello(judges *j, const event_host_hello *e)
{
    host_id id;
    host_facts *h = by_name(j, e->name, &id);
    if (!h)
        return;
    h->connected = h->told = true;
    h->sampled = false;
    h->physical = e->physical;
    h->told_total = least(e->total, e->physical);
}

static void sample(judges *j, const event_host_sample *e)
{
    host_facts *h = e->host.v < JUDGE_HOSTS ? &j->hosts[e->host.v] : NULL;
    bytes_t raw = above(e->in_use, e->claims_used);
    if (!h || !h->connected)
        return;
    if (!h->sampled) {
        h->last_raw = h->most = raw;
    } else {
        h->last_raw = h->raw;
        bytes_t both = least(raw, h->last_raw);
        h->most = raw > h->most ? (both > h->most ? both : h->most) : h->most - (h->most - raw) / FALL_AT_LEAST;
    }
    h->raw = raw;
    h->sampled = true;
}

void hosts_event(judges *j, const core_event *e)
{
    switch (e->kind) {
    case EVENT_CONFIG_HOST:
        config_host(j, &e->config_host);
        break;
    case EVENT_CONFIG_USER:
        config_user(j, &e->config_user);
        break;
    case EVENT_HOST_HELLO:
        hello(j, &e->hello);
        break;
    case EVENT_HOST_GONE:
        if (e->gone.v < JUDGE_HOSTS)
            j->hosts[e->gone.v].connected = j->hosts[e->gone.v].sampled = false;
        break;
    case EVENT_HOST_SAMPLE:
        sample(j, &e->sample);
        break;
    default:
        break;
    }
}

void hosts_restart(judges *j)
{
    for (uint32_t i = 0; i < JUDGE_HOSTS; i++)
        j->hosts[i].connected = j->hosts[i].sampled = j->hosts[i].told = false;
}

/* ---- columns ---- */

static const host_facts *settings(const judges *j, const host_facts *h)
{
    return h->configured ? h : &j->host_default;
}

bytes_t hosts_total(const judges *j, host_id id)
{
    const host_facts *h = &j->hosts[id.v];
    bytes_t configured = settings(j, h)->config_total;
    return configured ? least(configured, h->told_total) : h->told_total;
}

/* By default 5 % of the total, at least 512 MiB, at most a quarter. */
bytes_t hosts_aside(const judges *j, host_id id)
{
    bytes_t total = hosts_total(j, id), configured = settings(j, &j->hosts[id.v])->config_aside, part = total / 20;
    if (configured != UINT64_MAX)
        return least(configured, total);
    return least(part > MIB(512) ? part : MIB(512), total / 4);
}

/* What the owner keeps, and memory outside the total, is used by others first. */
static bytes_t cover(const judges *j, host_id id)
{
    return hosts_aside(j, id) + above(j->hosts[id.v].physical, hosts_total(j, id));
}

bytes_t hosts_foreign_least(const judges *j, host_id id)
{
    const host_facts *h = &j->hosts[id.v];
    return h->sampled ? above(least(h->raw, h->last_raw), cover(j, id)) : 0;
}

bytes_t hosts_foreign_most(const judges *j, host_id id)
{
    const host_facts *h = &j->hosts[id.v];
    return h->sampled ? above(h->most, cover(j, id)) : UINT64_MAX;
}

bytes_t hosts_quota(const judges *j, user_id u)
{
    const event_config_user *every = NULL;
    for (uint32_t i = 0; i < j->users.n; i++) {
        const event_config_user *x = &j->users.items[i];
        if (x->user.v == u.v && x->weight)
            return x->quota ? x->quota : UINT64_MAX;
        every = x->user.v == UINT32_MAX && x->weight ? x : every;
    }
    return every && every->quota ? every->quota : UINT64_MAX;
}
