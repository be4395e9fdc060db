/* cases.c - the lists of cases as one. */
#include "cases.h"

#include <string.h>

const script *script_at(size_t i)
{
    const script_list *const lists[] = {&life_scripts,  &recall_scripts,  &choice_scripts,
                                        &state_scripts, &restart_scripts, &wrong_scripts};
    for (size_t l = 0; l < sizeof lists / sizeof *lists; l++) {
        if (i < lists[l]->n)
            return &lists[l]->scripts[i];
        i -= lists[l]->n;
    }
    return NULL;
}

const script *script_find(const char *name)
{
    const script *x;
    for (size_t i = 0; (x = script_at(i)); i++)
        if (strcmp(x->name, name) == 0)
            return x;
    return NULL;
}
