/* What Fast DDS of the wheels calls instead of pthread_cond_timedwait; scripts/setup.sh has it do so.
 *
 * It waits for callbacks of discovery before it lets a participant go, with no limit, which the C++ library that the wheels
 * were built with makes into negative nanoseconds. glibc refuses these at once, without letting the lock go: the caller asks
 * again for ever, and the callback never gets the lock. https://github.com/eProsima/Fast-DDS/issues/6513
 */
#include <pthread.h>
#include <time.h>

int ros_wheels_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until)
{
    if (until->tv_nsec < 0)
        return pthread_cond_wait(condition, mutex);
    return pthread_cond_timedwait(condition, mutex, until);
}
