/*
 * user.h - who shares: weight, quota, and how much each holds. Soft: configured, never recorded.
 */
#ifndef GRANARY_CORE_USER_H
#define GRANARY_CORE_USER_H

#include "core/books.h"

/* Finds or makes. NULL: the table is full. */
user *user_get(core *c, user_id id);
void user_configure(core *c, const event_config_user *config);
/* Bytes that it may still be given; UINT64_MAX without a quota. */
bytes_t user_room(const user *u);
/* For what this request needs at once? */
bool user_has_room(const user *u, const allocation_terms *t);

#endif
