#include "daemon/strangers.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

#define JOURNAL "journal.db"

/* What supervisor, store and `granary up --detach` keep there. */
static bool is_ours(const char *name)
{
    static const char *const names[] = {".", "..", "lost+found", "lock", "ballast", "journal.lock", "granaryd.log"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return strncmp(name, JOURNAL, strlen(JOURNAL)) == 0; /* and SQLite's files beside it */
}

static bool is_our_log(int dir, const char *name)
{
    struct stat file, log;
    return fstatat(dir, name, &file, AT_SYMLINK_NOFOLLOW) == 0 && fstat(STDERR_FILENO, &log) == 0 &&
           file.st_dev == log.st_dev && file.st_ino == log.st_ino;
}

bool strangers_find(const char *directory, char *name, size_t size, bool *ret_journal)
{
    char first[sizeof((struct dirent *)0)->d_name] = "";
    bool journal = false;
    DIR *list = opendir(directory);
    if (!list)
        return false;
    for (struct dirent *e; (e = readdir(list));) {
        journal |= strcmp(e->d_name, JOURNAL) == 0;
        if (!is_ours(e->d_name) && (!*first || strcmp(e->d_name, first) < 0) && !is_our_log(dirfd(list), e->d_name))
            strcpy(first, e->d_name);
    }
    closedir(list);
    if (!*first)
        return false;
    *ret_journal = journal;
    text_escape(name, size, first);
    return true;
}
