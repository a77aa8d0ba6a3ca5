"""A library that makes calls to the C library fail below a folder, as file systems do that lack them.

A process that preloads it fails in the calls that FAILING names with their errors (`flock=37 link=1`), on files below
FAILING_BELOW.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int fails(const char *call) {
    const char *found = getenv("FAILING");
    size_t length = strlen(call);
    while (found && *found) {
        if (!strncmp(found, call, length) && found[length] == '=') return errno = atoi(found + length + 1);
        found = strchr(found, ' ');
        if (found) found++;
    }
    return 0;
}

static int is_below(const char *path) {
    const char *folder = getenv("FAILING_BELOW");
    return folder && !strncmp(path, folder, strlen(folder));
}

static int is_open_below(int file) {
    char link[64], path[PATH_MAX + 1];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, PATH_MAX);
    if (length < 0) return 0;
    path[length] = 0;
    return is_below(path);
}

#define REAL(type, name, ...) ((type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))

int flock(int file, int how) {
    if (is_open_below(file) && fails("flock")) return -1;
    return REAL(int, flock, int, int)(file, how);
}

static int lock_or_other(const char *name, int file, int command, void *argument) {
    if ((command == F_SETLK || command == F_SETLKW) && is_open_below(file) && fails("lockf")) return -1;
    return ((int (*)(int, int, ...))dlsym(RTLD_NEXT, name))(file, command, argument);
}

int fcntl(int file, int command, ...) {
    va_list more;
    va_start(more, command);
    void *argument = va_arg(more, void *);
    va_end(more);
    return lock_or_other("fcntl", file, command, argument);
}

int fcntl64(int file, int command, ...) {
    va_list more;
    va_start(more, command);
    void *argument = va_arg(more, void *);
    va_end(more);
    return lock_or_other("fcntl64", file, command, argument);
}

int link(const char *source, const char *target) {
    if (is_below(target) && fails("link")) return -1;
    return REAL(int, link, const char *, const char *)(source, target);
}

int linkat(int from, const char *source, int to, const char *target, int how) {
    if (is_below(target) && fails("link")) return -1;
    return REAL(int, linkat, int, const char *, int, const char *, int)(from, source, to, target, how);
}

int symlink(const char *source, const char *target) {
    if (is_below(target) && fails("symlink")) return -1;
    return REAL(int, symlink, const char *, const char *)(source, target);
}

int fsync(int file) {
    if (is_open_below(file) && fails("fsync")) return -1;
    return REAL(int, fsync, int)(file);
}

ssize_t sendfile(int target, int source, off_t *at, size_t count) {
    if (is_open_below(source) && fails("sendfile")) return -1;
    return REAL(ssize_t, sendfile, int, int, off_t *, size_t)(target, source, at, count);
}

ssize_t sendfile64(int target, int source, off64_t *at, size_t count) {
    if (is_open_below(source) && fails("sendfile")) return -1;
    return REAL(ssize_t, sendfile64, int, int, off64_t *, size_t)(target, source, at, count);
}

void *mmap(void *address, size_t size, int rights, int how, int file, off_t at) {
    if (file >= 0 && is_open_below(file) && fails("mmap")) return (void *)-1;
    return REAL(void *, mmap, void *, size_t, int, int, int, off_t)(address, size, rights, how, file, at);
}

void *mmap64(void *address, size_t size, int rights, int how, int file, off64_t at) {
    if (file >= 0 && is_open_below(file) && fails("mmap")) return (void *)-1;
    return REAL(void *, mmap64, void *, size_t, int, int, int, off64_t)(address, size, rights, how, file, at);
}

ssize_t write(int file, const void *data, size_t count) {
    if (is_open_below(file) && fails("write")) return -1;
    return REAL(ssize_t, write, int, const void *, size_t)(file, data, count);
}
"""


def build(folder: Path) -> Path | None:
    """Compile the library into a folder; None where there is no compiler for C."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    source, library = folder / "failing.c", folder / "failing.so"
    source.write_text(SOURCE, encoding="utf-8")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library


def failing(library: Path, below: Path, **calls: int) -> dict[str, str]:
    """The environment of a process in which these calls fail with these errors, on files below a folder."""
    what = " ".join(f"{call}={error}" for call, error in calls.items())
    return {**os.environ, "LD_PRELOAD": str(library), "FAILING": what, "FAILING_BELOW": str(below.resolve())}
