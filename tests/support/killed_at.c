/* Preloaded into a process: kills it at the n-th call that changes, or brings to the disk, what lies in a folder.

   KILL_IN   a part of the path of files that count; without it nothing does
   KILL_AT   which call, from 1, is not made any more
   KILL_HALF if it is set, a write that is not made any more is made by half
   KILL_LOG  a descriptor that every call that counts is told to, a line each

   What is on the disk then is what any process would leave that is killed there. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int calls;

/* Whether this is the call. */
static int counted(const char *name, const char *path) {
    const char *folder = getenv("KILL_IN"), *at = getenv("KILL_AT"), *log = getenv("KILL_LOG");
    if (folder == NULL || path == NULL || strstr(path, folder) == NULL) return 0;
    int call = __sync_add_and_fetch(&calls, 1);
    if (log != NULL) {
        const char *file = strrchr(path, '/');
        dprintf(atoi(log), "%d %s %s\n", call, name, file ? file + 1 : path);
    }
    return at != NULL && call == atoi(at);
}

static void die(void) { kill(getpid(), SIGKILL); }

static size_t half(size_t size) { return getenv("KILL_HALF") ? size / 2 : 0; }

static int counted_open(const char *name, int descriptor) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, "-shm") == NULL && counted(name, path); /* that is memory: no disk ever sees it */
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (real == NULL) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

ssize_t write(int fd, const void *data, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    if (counted_open("write", fd)) real(fd, data, half(size)), die();
    return real(fd, data, size);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    if (counted_open("write", fd)) real(fd, data, half(size), offset), die();
    return real(fd, data, size, offset);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    if (counted_open("write", fd)) real(fd, data, half(size), offset), die();
    return real(fd, data, size, offset);
}
int fsync(int fd) {
    REAL(int, "fsync", int);
    if (counted_open("fsync", fd)) die();
    return real(fd);
}
int fdatasync(int fd) {
    REAL(int, "fdatasync", int);
    if (counted_open("fsync", fd)) die();
    return real(fd);
}
int ftruncate(int fd, off_t size) {
    REAL(int, "ftruncate", int, off_t);
    if (counted_open("truncate", fd)) die();
    return real(fd, size);
}
int ftruncate64(int fd, off64_t size) {
    REAL(int, "ftruncate64", int, off64_t);
    if (counted_open("truncate", fd)) die();
    return real(fd, size);
}
int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    if (counted("rename", from)) die();
    return real(from, to);
}
int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    if (counted("unlink", path)) die();
    return real(path);
}
int mkdir(const char *path, mode_t mode) {
    REAL(int, "mkdir", const char *, mode_t);
    if (counted("mkdir", path)) die();
    return real(path, mode);
}
static int made(const char *name, const char *path, int flags, mode_t mode) {
    static int (*real)(const char *, int, ...);
    if (real == NULL) real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, name);
    if ((flags & O_CREAT) && access(path, F_OK) != 0 && strstr(path, "-shm") == NULL && counted("create", path)) die();
    return real(path, flags, mode);
}
#define MODE \
    mode_t mode = 0; \
    if (flags & O_CREAT) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }
int open(const char *path, int flags, ...) { MODE return made("open", path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE return made("open64", path, flags, mode); }
