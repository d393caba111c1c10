/* For LD_PRELOAD: each endpoint of a peer that leaves takes the middleware's callback SLOW_FAREWELL_MS milliseconds, or for
 * ever where that is 0. Stands before rmw_dds_common's own function, which the callback of every DDS middleware calls.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

/* bool rmw_dds_common::GraphCache::remove_entity(const rmw_gid_t &, bool) */
#define REMOVE_ENTITY _ZN14rmw_dds_common10GraphCache13remove_entityERK9rmw_gid_sb
#define TEXT_OF(name) #name
#define NAME_OF(name) TEXT_OF(name)

typedef bool remove_entity(void *graph, const void *id, bool is_reader);

remove_entity REMOVE_ENTITY;

bool REMOVE_ENTITY(void *graph, const void *id, bool is_reader)
{
    static const char word[] = "a peer leaves\n";
    const char *milliseconds = getenv("SLOW_FAREWELL_MS");
    remove_entity *next = (remove_entity *)dlsym(RTLD_NEXT, NAME_OF(REMOVE_ENTITY));

    if (!next) /* Loaded later, for itself. */
        next = (remove_entity *)dlsym(dlopen("librmw_dds_common.so", RTLD_LAZY | RTLD_NOLOAD), NAME_OF(REMOVE_ENTITY));
    if (!next || next == REMOVE_ENTITY)
        abort();
    if (write(STDERR_FILENO, word, sizeof word - 1) < 0 || !milliseconds || atoi(milliseconds) == 0)
        for (;;)
            pause();
    usleep(atoi(milliseconds) * 1000u);
    return next(graph, id, is_reader);
}
