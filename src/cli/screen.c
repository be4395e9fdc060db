#include "cli/screen.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define WIDTH_USUAL 80u
#define WIDTH_LEAST 20u /* narrower than this no table is of use */

unsigned screen_columns(FILE *file)
{
    struct winsize size;
    const int fd = fileno(file);

    if (!isatty(fd))
        return 0;
    return ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 ? WIDTH_USUAL : size.ws_col;
}

unsigned screen_width(FILE *file)
{
    const unsigned columns = screen_columns(file);

    return columns > 0 && columns < WIDTH_LEAST ? WIDTH_USUAL : columns;
}

bool screen_moves(FILE *file)
{
    const char *kind = getenv("TERM");

    return isatty(fileno(file)) == 1 && kind && *kind && strcmp(kind, "dumb") != 0;
}

bool screen_colours(FILE *file)
{
    const char *no = getenv("NO_COLOR");

    return screen_moves(file) && !(no && *no);
}

bool screen_is_free(FILE *file)
{
    struct pollfd ready = {.fd = fileno(file), .events = POLLOUT};
    const pid_t foreground = tcgetpgrp(ready.fd);

    if (foreground > 0 && foreground != getpgrp())
        return false;
    return poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT);
}

char *screen_bar(char to[SCREEN_BAR_MAX + 3], const screen_part *parts, size_t n, uint64_t total, unsigned width)
{
    unsigned used = 0;
    double sum = 0;

    if (width > SCREEN_BAR_MAX)
        width = SCREEN_BAR_MAX;
    to[0] = '[';
    for (size_t i = 0; i < n && total > 0; i++) {
        sum += (double)parts[i].bytes;
        double exact = sum / (double)total * width + 0.5;
        unsigned end = exact >= width ? width : (unsigned)exact;
        if (parts[i].bytes > 0 && end <= used && used < width)
            end = used + 1;
        while (used < end)
            to[1 + used++] = parts[i].mark;
    }
    while (used < width)
        to[1 + used++] = ' ';
    to[1 + width] = ']';
    to[2 + width] = '\0';
    return to;
}
