/* A mock of NVML, the library of NVIDIA's driver: what monitoring_node calls of it, with two GPUs that do not exist.
 *
 * The second has no thermometer and tells no power. The variable MOCK_NVML may be `no_driver`, the library without its
 * driver, or `hangs`, a driver that does not answer.
 *
 * https://docs.nvidia.com/deploy/nvml-api: the functions, their results and the structures that they fill.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum result { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, DRIVER_NOT_LOADED = 9, VERSION_MISMATCH = 25 };

struct gpu {
    const char *uuid, *name;
    unsigned int busy_percent, memory_busy_percent, celsius, milliwatts;
    unsigned long long memory_total, memory_reserved, memory_used;
};

struct utilization {
    unsigned int gpu, memory;
};

struct memory_v2 {
    unsigned int version;
    unsigned long long total, reserved, free, used;
};

static const struct gpu gpus[] = {
    {"GPU-mock-a", "Mock RTX", 37, 21, 61, 123456, 24ULL << 30, 1ULL << 30, 6ULL << 30},
    {"GPU-mock-b", "Mock Orin", 100, 50, 0, 0, 8ULL << 30, 0, 8ULL << 30},
};

static const unsigned int count = sizeof gpus / sizeof *gpus;

static int is_set(const char *behaviour) {
    const char *wanted = getenv("MOCK_NVML");
    return wanted && strcmp(wanted, behaviour) == 0;
}

static enum result copy(const char *text, char *out, unsigned int size) {
    snprintf(out, size, "%s", text);
    return SUCCESS;
}

enum result nvmlInit_v2(void) {
    return is_set("no_driver") ? DRIVER_NOT_LOADED : SUCCESS;
}

enum result nvmlDeviceGetCount_v2(unsigned int *out) {
    while (is_set("hangs"))
        pause();
    *out = count;
    return SUCCESS;
}

enum result nvmlDeviceGetHandleByIndex_v2(unsigned int index, const struct gpu **out) {
    if (index >= count)
        return INVALID_ARGUMENT;
    *out = &gpus[index];
    return SUCCESS;
}

enum result nvmlDeviceGetUUID(const struct gpu *gpu, char *out, unsigned int size) {
    return copy(gpu->uuid, out, size);
}

enum result nvmlDeviceGetName(const struct gpu *gpu, char *out, unsigned int size) {
    return copy(gpu->name, out, size);
}

enum result nvmlDeviceGetUtilizationRates(const struct gpu *gpu, struct utilization *out) {
    *out = (struct utilization){gpu->busy_percent, gpu->memory_busy_percent};
    return SUCCESS;
}

enum result nvmlDeviceGetMemoryInfo_v2(const struct gpu *gpu, struct memory_v2 *out) {
    if (out->version != (sizeof *out | 2u << 24))
        return VERSION_MISMATCH;
    out->total = gpu->memory_total;
    out->reserved = gpu->memory_reserved;
    out->used = gpu->memory_used;
    out->free = gpu->memory_total - gpu->memory_reserved - gpu->memory_used;
    return SUCCESS;
}

enum result nvmlDeviceGetTemperature(const struct gpu *gpu, int sensor, unsigned int *out) {
    if (sensor != 0)
        return INVALID_ARGUMENT;
    *out = gpu->celsius;
    return gpu->celsius ? SUCCESS : NOT_SUPPORTED;
}

enum result nvmlDeviceGetPowerUsage(const struct gpu *gpu, unsigned int *out) {
    *out = gpu->milliwatts;
    return gpu->milliwatts ? SUCCESS : NOT_SUPPORTED;
}
