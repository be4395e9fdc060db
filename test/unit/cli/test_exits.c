/* exits: each status has one exit code, and the documented ones never move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/status.h"
#include "cli/exits.h"

static void maps_every_status(void **state)
{
    (void)state;
    static const struct {
        int status, code;
    } rows[] = {
        {STATUS_OK, 0},        {STATUS_INVALID, 2},    {STATUS_LIMIT, 125},       {STATUS_NEVER, 122},
        {STATUS_QUOTA, 122},   {STATUS_NOT_NOW, 75},   {STATUS_TIMEOUT, 124},     {STATUS_DENIED, 77},
        {STATUS_NOT_FOUND, 1}, {STATUS_STATE, 1},      {STATUS_STALE, 1},         {STATUS_AGENT, 125},
        {STATUS_SILENT, 125},  {STATUS_PROTOCOL, 125}, {STATUS_LOST, 69},         {STATUS_NO_MEMORY, 125},
        {STATUS_SYSTEM, 125},  {STATUS_BUSY, 125},     {STATUS_ENDED, 1},         {STATUS_VERSION, 125},
        {STATUS_DEAD, 1},      {STATUS_CORRUPT, 125},  {STATUS_INTERRUPTED, 130}, {STATUS_CLAIMED, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(exits_of_status(rows[i].status), rows[i].code);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(maps_every_status)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
