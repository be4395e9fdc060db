/*
 * settings.h - what the owner's settings mean to the model: sizes, what is set aside, filters, quotas.
 */
#ifndef GRANARY_TEST_TRACE_SETTINGS_H
#define GRANARY_TEST_TRACE_SETTINGS_H

#include "model.h"

/* Nothing is configured; hosts are as large as they last were. A new broker begins so. */
void settings_forget(model *m);

void settings_host(model *m, const core *c, const event_config_host *e);
void settings_user(model *m, const event_config_user *e);

/* A host that is there for the first time has the default settings. */
void settings_new_host(model *m, uint32_t host, const char *name);
/* total and aside again, after what it told or its settings changed. */
void settings_count(model_host *h);

bool settings_accept(const model_host *h, const char *filter);
/* Bytes that it could ever give; UINT64_MAX = nobody knows. */
bytes_t settings_hope(const model_host *h);

/* UINT64_MAX = none. */
bytes_t settings_quota(const model *m, uint32_t user);
bytes_t settings_room(const model *m, uint32_t user);

#endif
