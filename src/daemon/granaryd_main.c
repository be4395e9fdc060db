/*
 * granaryd_main.c - granaryd: reads the command line and the configuration, then supervises.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/reserve.h"
#include "daemon/supervisor.h"

/* A standard stream that was closed would be given to something else. */
static void streams_fill(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

int main(int argc, char **argv)
{
    streams_fill();
    options o;
    char why[1024], default_path[PATH_MAX];
    if (options_parse(&o, argc, argv, why, sizeof why) < 0) {
        fprintf(stderr, "granaryd: %s\n", why);
        return EXIT_WRONG_USAGE;
    }
    if (o.help || o.version) {
        fputs(o.help ? options_help : "granaryd " VERSION_TEXT "\n", stdout);
        return EXIT_ORDERLY;
    }
    uv_replace_allocator(reserve_malloc, reserve_realloc, reserve_calloc, reserve_free);
    bool system = geteuid() == 0 && !o.user_instance;
    const char *path = options_config_path(&o, system, default_path, sizeof default_path);
    static config c;
    config_init(&c);
    int r = *path ? config_read(&c, path, why, sizeof why) : 0;
    if (r == 0)
        r = options_apply(&o, &c, system, why, sizeof why);
    if (r < 0) {
        fprintf(stderr, "granaryd: %s\n", why);
        config_finish(&c);
        return EXIT_WRONG_USAGE;
    }
    int code = EXIT_ORDERLY;
    if (o.check_config) {
        config_print(&c, stdout);
    } else {
        log_book *log = log_create("supervisor", c.log_level);
        code = supervisor_run(&o, &c, path, log);
        log_destroy(log);
    }
    config_finish(&c);
    return code;
}
