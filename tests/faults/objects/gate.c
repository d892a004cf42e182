/* Stops the files of objects on their way into a directory, or makes them fail, in the process that it is
   preloaded into. The file that GATE_FILE names holds three numbers: what is ordered, how many came to that
   place, and how many objects got their name. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As `order` in shim.rs has them: stall before, in and after, then fail likewise. */
enum { PASS, STALL_BEFORE, STALL_IN, STALL_AFTER, FAIL_BEFORE, FAIL_IN, FAIL_AFTER };

static struct { volatile int32_t order, reached, puts; } *gate;

__attribute__((constructor)) static void open_gate(void) {
    const char *path = getenv("GATE_FILE");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) abort();
    void *page = mmap(NULL, sizeof *gate, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (page == MAP_FAILED) abort();
    gate = page;
}

/* Whether the call is to fail here; waits where it is to stall. */
static int stopped(int stall, int fail) {
    int order = gate ? gate->order : PASS;
    if (order != stall && order != fail) return 0;
    __atomic_fetch_add(&gate->reached, 1, __ATOMIC_SEQ_CST);
    if (order == fail) {
        errno = EIO;
        return 1;
    }
    while (gate->order == stall) usleep(1000);
    return 0;
}

int linkat(int from, const char *old, int to, const char *new, int flags) {
    int is_object = strstr(new, "/lake/") != NULL;
    if (is_object && stopped(STALL_BEFORE, FAIL_BEFORE)) return -1;
    int result = (int)syscall(SYS_linkat, from, old, to, new, flags);
    if (is_object && result == 0) {
        __atomic_fetch_add(&gate->puts, 1, __ATOMIC_SEQ_CST);
        if (stopped(STALL_AFTER, FAIL_AFTER)) return -1;
    }
    return result;
}

/* Whether a file is that of an object which has no name of its own yet. */
static int is_begun(int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, "/lake/") && strrchr(path, '#');
}

ssize_t write(int file, const void *bytes, size_t count) {
    int order = gate ? gate->order : PASS;
    if ((order == STALL_IN || order == FAIL_IN) && count > 1 && is_begun(file)) {
        ssize_t half = syscall(SYS_write, file, bytes, count / 2);
        return half >= 0 && stopped(STALL_IN, FAIL_IN) ? -1 : half;
    }
    return syscall(SYS_write, file, bytes, count);
}
