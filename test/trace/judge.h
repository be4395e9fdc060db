/*
 * judge.h - the model's eyes: compares, and says what was wrong.
 */
#ifndef GRANARY_TEST_TRACE_JUDGE_H
#define GRANARY_TEST_TRACE_JUDGE_H

#include "model.h"

__attribute__((format(printf, 2, 3))) void model_wrong(model *m, const char *format, ...);

/* A sample of foreign memory: a rise counts after two samples, a fall never overshoots. */
void judge_sample(model *m, const core *c, const event_host_sample *e);

/* Is it more than all hosts, as large as they last said, could ever give? */
bool judge_never(const model *m, const model_allocation *a);

#endif
