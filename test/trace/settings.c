/* settings.c - see settings.h. */
#include "settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "judge.h"

static bytes_t least(bytes_t a, bytes_t b)
{
    return a < b ? a : b;
}

static bytes_t above(bytes_t a, bytes_t b)
{
    return a > b ? a - b : 0;
}

/* By default 5 % of total, at least 512 MiB, at most a quarter. */
static bytes_t aside_of(const model_host *h, bytes_t total)
{
    bytes_t part = total / 20 > MIB(512) ? total / 20 : MIB(512);
    return h->given_aside == UINT64_MAX ? least(part, total / 4) : least(h->given_aside, total);
}

void settings_count(model_host *h)
{
    h->total = h->given_total ? least(h->told, h->given_total) : h->told;
    h->aside = aside_of(h, h->total);
}

static void give(model_host *h, const event_config_host *e)
{
    h->given_total = e->total;
    h->given_aside = e->set_aside;
    snprintf(h->labels, sizeof h->labels, "%s", e->labels);
    settings_count(h);
}

void settings_forget(model *m)
{
    m->defaults = (event_config_host){.set_aside = UINT64_MAX};
    m->default_quota = 0;
    memset(m->users, 0, sizeof m->users);
    for (unsigned i = 0; i < MODEL_HOSTS; i++) {
        m->hosts[i].told = m->hosts[i].total;
        m->hosts[i].configured = false;
        give(&m->hosts[i], &m->defaults);
    }
}

void settings_new_host(model *m, uint32_t host, const char *name)
{
    model_host *h = &m->hosts[host];
    if (h->known)
        return;
    h->known = true;
    snprintf(h->name, sizeof h->name, "%s", name);
    give(h, &m->defaults);
}

/* What is foreign follows what covers it. */
static void recover(model *m, const core *c, uint32_t host)
{
    model_host *h = &m->hosts[host];
    host_view view;
    if (!h->fresh || view_host_by_id(c, (host_id){host}, &view) < 0)
        return;
    bytes_t cover = h->aside + (h->physical - h->total), most = above(h->foreign + h->cover, cover);
    if (view.foreign > most || (h->foreign > 0 && view.foreign != most))
        model_wrong(m, "host %s: foreign is %" PRIu64 " with new settings, not %" PRIu64, h->name, view.foreign, most);
    h->foreign = view.foreign;
    h->cover = cover;
}

void settings_host(model *m, const core *c, const event_config_host *e)
{
    host_view view;
    bool all = strcmp(e->name, "*") == 0;
    if (all)
        m->defaults = *e;
    else if (view_host_by_name(c, e->name, &view) < 0)
        return; /* the table of hosts is full */
    else
        settings_new_host(m, view.id.v, e->name);
    for (uint32_t i = 0; i < MODEL_HOSTS; i++) {
        model_host *h = &m->hosts[i];
        if (!h->known || (all ? h->configured : i != view.id.v))
            continue;
        h->configured |= !all;
        give(h, e);
        recover(m, c, i);
    }
}

void settings_user(model *m, const event_config_user *e)
{
    if (e->user.v == UINT32_MAX) {
        m->default_quota = e->quota;
        return;
    }
    m->users[e->user.v % MODEL_USERS].configured = e->weight > 0;
    m->users[e->user.v % MODEL_USERS].quota = e->quota;
}

bytes_t settings_quota(const model *m, uint32_t user)
{
    bytes_t quota = m->users[user % MODEL_USERS].configured ? m->users[user % MODEL_USERS].quota : m->default_quota;
    return quota ? quota : UINT64_MAX;
}

bytes_t settings_room(const model *m, uint32_t user)
{
    bytes_t granted = 0;
    for (unsigned i = 0; i < m->n_allocations; i++)
        for (unsigned h = 0; h < MODEL_HOSTS; h++)
            if (m->allocations[i].id && m->allocations[i].user == user)
                granted += m->allocations[i].chunk * m->allocations[i].held[h];
    return above(settings_quota(m, user), granted);
}

static bool labelled(const model_host *h, const char *word)
{
    char labels[LABELS_MAX], *rest = labels;
    strcpy(labels, h->labels);
    for (char *label; (label = strsep(&rest, ","));)
        if (strcmp(label, word) == 0)
            return true;
    return false;
}

bool settings_accept(const model_host *h, const char *filter)
{
    char words[FILTER_MAX], *rest = words;
    bool any = false, named = false, all = true;
    snprintf(words, sizeof words, "%s", filter);
    for (char *word; *filter && (word = strsep(&rest, ","));) {
        if (word[0] == '!') {
            if (strcmp(word + 1, h->name) == 0 || labelled(h, word + 1))
                return false;
            continue;
        }
        any = true;
        named |= strcmp(word, h->name) == 0;
        all &= labelled(h, word);
    }
    return !any || named || all;
}

bytes_t settings_hope(const model_host *h)
{
    if (!h->known)
        return 0;
    if (h->heard || h->lost)
        return above(h->total, h->aside);
    return h->given_total ? h->given_total - aside_of(h, h->given_total) : UINT64_MAX;
}
