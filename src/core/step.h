/*
 * step.h - the frame around whatever changes the books: begin, change, settle and finish.
 */
#ifndef GRANARY_CORE_STEP_H
#define GRANARY_CORE_STEP_H

#include "core/books.h"

void step_begin(core *c, ms_t now, core_effects *effects);
void step_finish(core *c);

#endif
