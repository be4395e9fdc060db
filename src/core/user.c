/*
 * user.c - the users of the books.
 */
#include "core/user.h"

#include "core/supply.h"

static void apply(user *u, const event_config_user *config)
{
    u->weight = config->weight ? config->weight : 1;
    u->quota = config->quota;
}

user *user_get(core *c, user_id id)
{
    uint64_t key = (uint64_t)id.v + 1;
    user *u = table_get(&c->user_ids, key);
    if (u)
        return u;
    u = pool_take(&c->users);
    if (!u)
        return NULL;
    u->id = id;
    list_init(&u->hungry);
    list_append(&c->user_list, &u->node);
    apply(u, &c->config_user_default);
    table_put(&c->user_ids, key, u);
    return u;
}

void user_configure(core *c, const event_config_user *config)
{
    if (config->user.v == UINT32_MAX) {
        c->config_user_default = *config;
        list_each(u, &c->user_list, user, node) if (!u->configured) apply(u, config);
    } else {
        user *u = user_get(c, config->user);
        if (!u) {
            return; /* the table of users is full: its sessions are refused too */
        }
        u->configured = config->weight > 0;
        apply(u, u->configured ? config : &c->config_user_default);
    }
    supply_all(c);
    c->doubt = c->changed = true;
}

bytes_t user_room(const user *u)
{
    if (u->quota == 0)
        return UINT64_MAX;
    return u->quota > u->granted ? u->quota - u->granted : 0;
}

bool user_has_room(const user *u, const allocation_terms *t)
{
    return user_room(u) / t->chunk_size >= terms_need(t);
}
