/* A disk of fixed latency: LD_PRELOAD this, and every fsync and fdatasync sleeps FSYNC_SHIM_US microseconds.
 *
 * On tmpfs, where a sync costs nothing, the figures then depend on the program and hardly on the machine's disk.
 * FSYNC_SHIM_COUNT names a file of 8 bytes that counts the calls; FSYNC_SHIM_FAIL_AT=n makes the n-th and every later
 * one fail with EIO, as a broken disk does; with FSYNC_SHIM_FAIL_TO=m as well, those after the m-th succeed again, as
 * on a disk whose kernel reports an error once.
 *
 * WRITE_SHIM_FAIL_AT=n makes the n-th and every later pwrite fail, the n-th after half of its bytes, with the error
 * WRITE_SHIM_ERRNO (28 by default, ENOSPC; 30 is EROFS); WRITE_SHIM_FAIL_TO=m ends it as above.
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
static uint64_t fail_at, fail_to;
static uint64_t writes, write_fail_at, write_fail_to;
static int write_errno;

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? (uint64_t)strtoull(text, NULL, 10) : otherwise;
}

__attribute__((constructor)) static void start(void)
{
    latency_us = (long)number_of("FSYNC_SHIM_US", 0);
    fail_at = number_of("FSYNC_SHIM_FAIL_AT", 0);
    fail_to = number_of("FSYNC_SHIM_FAIL_TO", UINT64_MAX);
    write_fail_at = number_of("WRITE_SHIM_FAIL_AT", 0);
    write_fail_to = number_of("WRITE_SHIM_FAIL_TO", UINT64_MAX);
    write_errno = (int)number_of("WRITE_SHIM_ERRNO", ENOSPC);
    const char *text = getenv("FSYNC_SHIM_COUNT");
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
    if (fail_at && number >= fail_at && number <= fail_to) {
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

static ssize_t write_with(const char *name, int fd, const void *bytes, size_t size, off_t at)
{
    ssize_t (*real)(int, const void *, size_t, off_t) =
        (ssize_t(*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, name);
    uint64_t number = __atomic_add_fetch(&writes, 1, __ATOMIC_RELAXED);
    if (write_fail_at && number >= write_fail_at && number <= write_fail_to) {
        if (number == write_fail_at && size > 1 && write_errno == ENOSPC)
            return real(fd, bytes, size / 2, at);
        errno = write_errno;
        return -1;
    }
    return real(fd, bytes, size, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    return write_with("pwrite", fd, bytes, size, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t at)
{
    return write_with("pwrite64", fd, bytes, size, at);
}
