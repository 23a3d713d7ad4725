// Copyright 2026 The dcfm_ros authors
// SPDX-License-Identifier: Apache-2.0
// For one process, sets the system clock to another time while it runs: LD_PRELOAD this, and write the
// seconds by which the clock is wrong into the file CLOCK_OFFSET, eight bytes. Deadlines that were made from
// that clock are put right for the kernel, which knows nothing of it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int64_t offset(void) {
    static volatile int64_t *shared;
    if (!shared) {
        const char *file = getenv("CLOCK_OFFSET");
        int descriptor = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
        if (descriptor < 0) return 0;
        void *found = mmap(NULL, sizeof *shared, PROT_READ, MAP_SHARED, descriptor, 0);
        close(descriptor);
        if (found == MAP_FAILED) return 0;
        shared = found;
    }
    return *shared;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, time);
    if (!failed && clock == CLOCK_REALTIME) time->tv_sec += offset();
    return failed;
}

int gettimeofday(struct timeval *time, void *zone) {
    static int (*real)(struct timeval *, void *);
    if (!real) real = dlsym(RTLD_NEXT, "gettimeofday");
    int failed = real(time, zone);
    if (!failed) time->tv_sec += offset();
    return failed;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}

static struct timespec right(const struct timespec *deadline) {
    struct timespec time = *deadline;
    if (time.tv_sec > 1000000000) time.tv_sec -= offset();  // else of the clock that counts from the start
    return time;
}

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *deadline) {
    static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    if (!real) real = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");  // x86: the first is another
    if (!real) real = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    struct timespec time = right(deadline);
    return real(condition, mutex, &time);
}

int sem_timedwait(sem_t *semaphore, const struct timespec *deadline) {
    static int (*real)(sem_t *, const struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "sem_timedwait");
    struct timespec time = right(deadline);
    return real(semaphore, &time);
}

int pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *deadline) {
    static int (*real)(pthread_mutex_t *, const struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "pthread_mutex_timedlock");
    struct timespec time = right(deadline);
    return real(mutex, &time);
}
