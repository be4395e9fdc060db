/* report.c - findings, and telling them. */
#include "report.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void report_broken(report *r, rule_id id, const char *format, ...)
{
    va_list arguments;
    if (r->found[id])
        return;
    r->found[id] = true;
    va_start(arguments, format);
    vsnprintf(r->text[id], sizeof r->text[id], format, arguments);
    va_end(arguments);
}

void report_skip(report *r, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(r->skipped, sizeof r->skipped, format, arguments);
    va_end(arguments);
}

size_t report_count(const report *r, rule_level level)
{
    size_t n = 0;
    for (rule_id id = 0; id < RULES; id++)
        n += r->found[id] && rule_of(id)->level == level;
    return n;
}

bool report_fails(const report *r, bool strict)
{
    return report_count(r, LEVEL_MUST) + report_count(r, LEVEL_KIT) + (strict ? report_count(r, LEVEL_SHOULD) : 0) > 0;
}

struct tally {
    bool json, strict;
    size_t cases, broken, warned, skipped;
    json_t *list;
};

tally *tally_create(bool json, bool strict)
{
    tally *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->json = json;
    t->strict = strict;
    t->list = json_array();
    return t;
}

void tally_destroy(tally *t)
{
    if (!t)
        return;
    json_decref(t->list);
    free(t);
}

static const char *result_of(const tally *t, const report *r)
{
    if (report_fails(r, t->strict))
        return "broken";
    if (report_count(r, LEVEL_SHOULD) > 0)
        return "warned";
    return r->skipped[0] ? "skipped" : "held";
}

static void add_json(tally *t, const char *name, const report *r, const char *again)
{
    json_t *findings = json_array();
    for (rule_id id = 0; id < RULES; id++)
        if (r->found[id])
            json_array_append_new(findings,
                                  json_pack("{s:s, s:s, s:s, s:s, s:s}", "rule", rule_of(id)->name, "level",
                                            rule_level_name(rule_of(id)->level), "sentence", rule_of(id)->sentence,
                                            "where", rule_of(id)->where, "seen", r->text[id]));
    json_array_append_new(t->list, json_pack("{s:s, s:s, s:s, s:s, s:o}", "case", name, "result", result_of(t, r),
                                             "again", again, "skipped", r->skipped, "findings", findings));
}

static void add_lines(const tally *t, const char *name, const report *r, const char *again, const char *log)
{
    bool fails = report_fails(r, t->strict);
    size_t warnings = report_count(r, LEVEL_SHOULD);
    if (!fails && r->skipped[0])
        printf("skip  %s: %s\n", name, r->skipped);
    else
        printf("%s  %s\n", fails ? "FAIL" : warnings ? "warn" : "ok  ", name);
    for (rule_id id = 0; id < RULES; id++)
        if (r->found[id])
            printf("      %s (%s, %s): %s\n        seen: %s\n", rule_of(id)->name, rule_level_name(rule_of(id)->level),
                   rule_of(id)->where, rule_of(id)->sentence, r->text[id]);
    if (fails)
        printf("      again: granary-conformance %s -- ...\n", again);
    if (fails && log && log[0])
        printf("      it said: %s\n", log);
    fflush(stdout);
}

void tally_add(tally *t, const char *name, const report *r, const char *again, const char *log)
{
    bool fails = report_fails(r, t->strict);
    t->cases++;
    t->broken += fails;
    t->warned += !fails && report_count(r, LEVEL_SHOULD) > 0;
    t->skipped += !fails && report_count(r, LEVEL_SHOULD) == 0 && r->skipped[0];
    if (t->json)
        add_json(t, name, r, again);
    else
        add_lines(t, name, r, again, log);
}

bool tally_end(tally *t)
{
    if (t->json) {
        json_t *all = json_pack("{s:b, s:I, s:I, s:I, s:I, s:O}", "held", t->broken == 0, "cases", (json_int_t)t->cases,
                                "broken", (json_int_t)t->broken, "warned", (json_int_t)t->warned, "skipped",
                                (json_int_t)t->skipped, "results", t->list);
        json_dumpf(all, stdout, JSON_INDENT(2));
        printf("\n");
        json_decref(all);
    } else {
        printf("%zu cases: %zu held, %zu broken, %zu with warnings, %zu say nothing of this client\n", t->cases,
               t->cases - t->broken - t->warned - t->skipped, t->broken, t->warned, t->skipped);
    }
    return t->broken == 0;
}
