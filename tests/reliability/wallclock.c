/* A wall clock that can be stepped: CLOCK_REALTIME of one program is off by the seconds that the
   file WALLCLOCK_OFFSET says, read anew at every question. Nothing else is touched: libfaketime also
   translates sleeps and waits on the monotonic clock, and makes some of them fail.

   cc -shared -fPIC -o wallclock.so wallclock.c -ldl; LD_PRELOAD=./wallclock.so ... */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long off(void) {
  const char *name = getenv("WALLCLOCK_OFFSET");
  char text[32];
  int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
  ssize_t size = file < 0 ? -1 : read(file, text, sizeof text - 1);
  if (file >= 0) close(file);
  if (size <= 0) return 0;
  text[size] = 0;
  return atol(text);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int failed = (int)syscall(SYS_clock_gettime, clock, now);
  if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += off();
  return failed;
}

time_t time(time_t *where) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (where) *where = now.tv_sec;
  return now.tv_sec;
}

int gettimeofday(struct timeval *now, void *zone) {
  struct timespec exact;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &exact);
  now->tv_sec = exact.tv_sec;
  now->tv_usec = exact.tv_nsec / 1000;
  return 0;
}
