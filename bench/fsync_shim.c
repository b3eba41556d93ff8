/* A disk of fixed latency: LD_PRELOAD this, and every fsync and fdatasync sleeps FSYNC_SHIM_US microseconds.
 *
 * On tmpfs, where a sync costs nothing, the figures then depend on the program and hardly on the machine's disk.
 * FSYNC_SHIM_COUNT names a file of 8 bytes that counts the calls; FSYNC_SHIM_FAIL_AT=n makes the n-th and every later
 * one fail with EIO, as a broken disk does.
 *
 *   cc -O2 -shared -fPIC -o fsync_shim.so fsync_shim.c -ldl
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static uint64_t nowhere;
static uint64_t *count = &nowhere;
static long latency_us;
static uint64_t fail_at;

__attribute__((constructor)) static void start(void)
{
    const char *text = getenv("FSYNC_SHIM_US");
    latency_us = text ? atol(text) : 0;
    text = getenv("FSYNC_SHIM_FAIL_AT");
    fail_at = text ? (uint64_t)atoll(text) : 0;
    text = getenv("FSYNC_SHIM_COUNT");
    if (!text)
        return;
    int fd = open(text, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    if (ftruncate(fd, sizeof *count) == 0) {
        void *map = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map != MAP_FAILED)
            count = map;
    }
    close(fd);
}

static int sync_with(const char *name, int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    uint64_t number = __atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
    if (latency_us > 0) {
        struct timespec left = {latency_us / 1000000, latency_us % 1000000 * 1000};
        while (nanosleep(&left, &left) != 0 && errno == EINTR)
            ;
    }
    if (fail_at && number >= fail_at) {
        errno = EIO;
        return -1;
    }
    return real(fd);
}

int fsync(int fd)
{
    return sync_with("fsync", fd);
}

int fdatasync(int fd)
{
    return sync_with("fdatasync", fd);
}
