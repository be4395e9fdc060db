/*
 * show.h - one readable line for each effect and each noun. A field that is nothing is left out.
 */
#ifndef GRANARY_TEST_TRACE_SHOW_H
#define GRANARY_TEST_TRACE_SHOW_H

#include "world.h"

void show_effect(world *w, const core_effect *effect);
void show_record(world *w, const core_record *record);
void show_books(world *w); /* hosts, allocations, claims, queue, recalls */

char *show_span(ms_t span, char *to, size_t size);

#endif
