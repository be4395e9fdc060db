/*
 * report.h - what was found in one case, and how it is told: lines for people, or one JSON document.
 */
#ifndef CONFORMANCE_REPORT_H
#define CONFORMANCE_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "rule.h"

#define REPORT_TEXT 240

typedef struct {
    bool found[RULES];
    char text[RULES][REPORT_TEXT]; /* of the first time */
    char skipped[REPORT_TEXT];     /* why the case says nothing of this client; "" = it does */
} report;

/* Notes that a rule was broken; the first sentence for each rule is kept. */
void report_broken(report *r, rule_id id, const char *format, ...) __attribute__((format(printf, 3, 4)));
void report_skip(report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Rules of this level that were broken. */
size_t report_count(const report *r, rule_level level);

/* A rule that makes the client wrong was broken: MUST and KIT; with `strict` SHOULD, too. */
bool report_fails(const report *r, bool strict);

typedef struct tally tally; /* of all cases */

/* NULL without memory. */
tally *tally_create(bool json, bool strict);
void tally_destroy(tally *t);

/* Adds a case: prints its lines, or keeps it for the document. `again`: the options that repeat it. `log`: what the
 * program said, shown for a case that fails; NULL is fine. */
void tally_add(tally *t, const char *name, const report *r, const char *again, const char *log);

/* The sum. True: every case held. */
bool tally_end(tally *t);

#endif
