/* session.c - numbers, answers and repetition. */
#include "session.h"

#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"

void session_finish(session *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->requests[i].body);
        free(s->requests[i].answer);
    }
    free(s->requests);
    *s = (session){0};
}

void session_open(session *s, uint64_t id)
{
    session_finish(s);
    s->id = id;
    s->open = true;
    for (size_t i = 0; i < sizeof s->token; i++)
        s->token[i] = (uint8_t)(id * 31 + i * 7 + 1);
}

request *session_find(session *s, uint64_t number)
{
    return number >= 1 && number <= s->n ? &s->requests[number - 1] : NULL;
}

uint64_t session_answered(const session *s)
{
    size_t i = 0;
    while (i < s->n && s->requests[i].answered_on != 0)
        i++;
    return i;
}

uint64_t session_effects(const session *s)
{
    uint64_t highest = 0;
    for (size_t i = 0; i < s->n; i++)
        if (s->requests[i].answer || s->requests[i].deferred)
            highest = s->requests[i].number;
    return highest;
}

static bool same(const request *q, const wire_frame *f)
{
    return q->type == f->header.type && q->length == f->header.length &&
           (q->length == 0 || memcmp(q->body, f->body, q->length) == 0);
}

static request *append(session *s, const wire_frame *f, uint64_t serial)
{
    if (s->n == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 64;
        request *larger = realloc(s->requests, capacity * sizeof *larger);
        if (!larger)
            return NULL;
        s->requests = larger;
        s->capacity = capacity;
    }
    uint8_t *body = malloc(f->header.length + 1);
    if (!body)
        return NULL;
    if (f->header.length > 0)
        memcpy(body, f->body, f->header.length);
    s->requests[s->n] = (request){
        .number = s->n + 1, .arrived_on = serial, .type = f->header.type, .body = body, .length = f->header.length};
    return &s->requests[s->n++];
}

static void judge_acked(session *s, const wire_frame *f, report *r)
{
    uint64_t answered = session_answered(s);
    if (f->header.acked > answered)
        report_broken(r, RULE_ACKED_EARLY, "%s %llu says that answers up to %llu arrived, but %llu has none yet",
                      frame_type_name(f->header.type), (unsigned long long)f->header.number,
                      (unsigned long long)f->header.acked, (unsigned long long)answered + 1);
    else if (f->header.acked > s->acked)
        s->acked = f->header.acked;
    if (s->n >= s->acked + SESSION_ANSWERS && answered >= s->acked + SESSION_ANSWERS)
        report_broken(r, RULE_ACKED_STUCK, "%zu requests, all answered, and acked is still %llu: a broker answers BUSY",
                      s->n, (unsigned long long)s->acked);
}

request *session_take(session *s, const wire_frame *f, uint64_t serial, report *r, bool *ret_again)
{
    uint64_t number = f->header.number;
    const char *name = frame_type_name(f->header.type);
    request *old = session_find(s, number);
    judge_acked(s, f, r);
    *ret_again = old != NULL;
    if (old && !same(old, f)) {
        report_broken(r, RULE_NUMBER_REUSED, "number %llu was %s of %zu bytes, and is now %s of %u bytes%s",
                      (unsigned long long)number, frame_type_name(old->type), old->length, name, f->header.length,
                      old->type == f->header.type && old->length == f->header.length ? ", other ones" : "");
        return NULL;
    }
    if (old && old->arrived_on == serial) {
        report_broken(r, RULE_NUMBER_REUSED, "%s %llu was sent twice on one connection", name,
                      (unsigned long long)number);
        return NULL;
    }
    if (old) {
        old->arrived_on = serial;
        return old;
    }
    if (number != s->n + 1) {
        report_broken(r, RULE_NUMBER_NEXT, "%s has number %llu, the session's next is %llu", name,
                      (unsigned long long)number, (unsigned long long)s->n + 1);
        return NULL;
    }
    return append(s, f, serial);
}

static bool has_double(const session *s, const request *q, uint64_t serial)
{
    for (size_t i = q->number; i < s->n; i++) {
        const request *later = &s->requests[i];
        if (later->arrived_on == serial && later->type == q->type && later->length == q->length &&
            memcmp(later->body, q->body, q->length) == 0)
            return true;
    }
    return false;
}

void session_judge_resent(const session *s, uint64_t serial, report *r)
{
    for (size_t i = 0; i < s->n; i++) {
        const request *q = &s->requests[i];
        if (q->answered_on != 0 || q->arrived_on == serial)
            continue;
        bool new_number = has_double(s, q, serial);
        report_broken(r, new_number ? RULE_NUMBER_NEW : RULE_RESEND,
                      new_number ? "%s %llu had no answer when the connection broke; the same came with a new number"
                                 : "%s %llu had no answer when the connection broke, and did not come again",
                      frame_type_name(q->type), (unsigned long long)q->number);
    }
}
