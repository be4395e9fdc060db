#include "daemon/settings.h"

#include <string.h>

#include "base/size.h"
#include "base/status.h"
#include "daemon/broker.h"

int settings_read(broker *b, config *ret, char *why, size_t why_size)
{
    config_init(ret);
    return *b->options->config ? config_read(ret, b->options->config, why, why_size) : 0;
}

static void step_host(broker *b, const event_config_host *settings)
{
    core_event event = {.kind = EVENT_CONFIG_HOST, .config_host = *settings};
    broker_step(b, &event);
}

/* What the owner gives of this machine; 0 = all. */
static bytes_t local_total(const broker *b)
{
    const event_config_host *section = config_host(&b->config, b->local_host);
    if (!section)
        section = config_host(&b->config, "*");
    if (b->options->memory || b->config.memory)
        return b->options->memory ? b->options->memory : b->config.memory;
    return section ? section->total : 0;
}

void settings_judge(const broker *b, bytes_t told)
{
    char given[SIZE_TEXT_MAX], there[SIZE_TEXT_MAX];
    bytes_t total = local_total(b);
    if (total > told)
        log_write(
            b->log, LOG_WARNING,
            "host=%s %s of memory were given to lease, and this machine (or the group that the agent runs in) has "
            "%s: the smaller figure counts",
            b->local_host, size_format(total, given), size_format(told, there));
}

/* The local host: its section or the default one, with what was given for the whole broker on top. */
static void step_local(broker *b)
{
    const config *c = &b->config;
    const event_config_host *section = config_host(c, b->local_host);
    if (!section)
        section = config_host(c, "*");
    event_config_host local = section ? *section : (event_config_host){.set_aside = UINT64_MAX};
    strcpy(local.name, b->local_host);
    local.total = local_total(b);
    if (b->options->set_aside != UINT64_MAX || c->set_aside != UINT64_MAX)
        local.set_aside = b->options->set_aside != UINT64_MAX ? b->options->set_aside : c->set_aside;
    step_host(b, &local);
}

static bool has_user(const config *c, user_id user)
{
    for (uint32_t i = 0; i < c->n_users; i++)
        if (c->users[i].user.v == user.v)
            return true;
    return false;
}

void settings_apply(broker *b, const config *old)
{
    const config *c = &b->config;
    event_config_host defaults = {.name = "*", .set_aside = UINT64_MAX};
    if (config_host(c, "*"))
        defaults = *config_host(c, "*");
    step_host(b, &defaults);
    for (uint32_t i = 0; i < c->n_hosts; i++)
        if (strcmp(c->hosts[i].name, "*") != 0)
            step_host(b, &c->hosts[i]);
    for (uint32_t i = 0; old && i < old->n_hosts; i++)
        if (!config_host(c, old->hosts[i].name)) {
            event_config_host gone = defaults;
            strcpy(gone.name, old->hosts[i].name);
            step_host(b, &gone);
        }
    step_local(b);
    collect_start(b);

    core_event event = {.kind = EVENT_CONFIG_USER};
    for (uint32_t i = 0; i < c->n_users; i++) {
        event.config_user = c->users[i];
        broker_step(b, &event);
    }
    for (uint32_t i = 0; old && i < old->n_users; i++)
        if (!has_user(c, old->users[i].user)) {
            event.config_user = (event_config_user){.user = old->users[i].user}; /* the default ones count for it */
            broker_step(b, &event);
        }
}

void settings_reload(broker *b)
{
    char why[512];
    config fresh;
    if (settings_read(b, &fresh, why, sizeof why) < 0) {
        log_write(b->log, LOG_ERROR, "the configuration stays as it was: %s", why);
        config_finish(&fresh);
        return;
    }
    config old = b->config;
    if (memcmp(&old.timers, &fresh.timers, sizeof old.timers) != 0 ||
        memcmp(&old.limits, &fresh.limits, sizeof old.limits) != 0 || old.power != fresh.power ||
        old.connections != fresh.connections)
        log_write(b->log, LOG_WARNING, "times, tables, connections and durability are taken at the next start");
    fresh.timers = old.timers;
    fresh.limits = old.limits;
    fresh.power = old.power;
    fresh.connections = old.connections;
    b->config = fresh;
    log_set_level(b->log, fresh.log_level);
    settings_apply(b, &old);
    config_finish(&old);
    log_write(b->log, LOG_INFO, "the configuration was read again");
}
