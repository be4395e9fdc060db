/*
 * settings.h - from granary.conf to the core: hosts, users, and what the command line says of the local host.
 */
#ifndef GRANARY_DAEMON_SETTINGS_H
#define GRANARY_DAEMON_SETTINGS_H

#include "daemon/config.h"

struct broker;

/* Reads the broker's configuration anew into `*ret` (to be finished by the caller). A status, with `why`. */
int settings_read(struct broker *b, config *ret, char *why, size_t why_size);

/* Steps the core with every section; those that `old` (may be NULL) had and the present one has not get the defaults.
 */
void settings_apply(struct broker *b, const config *old);

/* Says in the log when more was given to lease than the agent of this machine tells that there is. */
void settings_judge(const struct broker *b, bytes_t told);

/* Reads again and applies; a wrong file changes nothing and is told in the log. */
void settings_reload(struct broker *b);

#endif
