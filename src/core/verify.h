/*
 * verify.h - do loaded records make whole books?
 *
 * Each record was looked at when it came (load.c); what several of them say together can be judged only at the end, for
 * the records of one commit come in any order.
 */
#ifndef GRANARY_CORE_VERIFY_H
#define GRANARY_CORE_VERIFY_H

#include "core/books.h"

/* Before the recovery changes anything. STATUS_CORRUPT when an invariant of the durable state is broken. One look at
 * each noun: unlike core_check() it may be used on books of any size. */
int verify_books(const core *c);

#endif
