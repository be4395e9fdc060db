/*
 * expect.h - when a waiting request may start.
 *
 * Known only when everything that it lacks is being asked back for it and every task concerned has an estimate: then it
 * is when the last of them ends. What is returning has no time: a process ends when it ends.
 */
#ifndef GRANARY_CORE_EXPECT_H
#define GRANARY_CORE_EXPECT_H

#include "core/books.h"

/* From `now` until it may start; MS_NEVER = unknown. Changes nothing. */
ms_t expect_start(const core *c, ms_t now, const allocation *a);

#endif
