/*
 * main.c - the program: its standard streams in order, its command, and whether what it said was written.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/exits.h"

/*
 * A stream that the caller closed stays closed to those who use it, and to programs that are executed; but its number
 * is taken: else the broker's socket would get it, and be sent what was meant for people. A failure leaves it as it
 * was.
 */
static void keep_streams(void)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)!open("/dev/null", (fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
}

int main(int argc, char **argv)
{
    keep_streams();
    int code = command_main(argc, argv);

    if (code == EXIT_DONE && (fflush(stdout) != 0 || ferror(stdout))) {
        fprintf(stderr, "granary: cannot write the output: %s\n", strerror(errno));
        return EXIT_FAILED;
    }
    return code;
}
