"""A library of the CUDA driver's interface that keeps device memory in the host, compiled here from C."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

DRIVER = r"""
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int gpus = 1, fail_alloc = 0, live_buffers = 0, contexts = 0, streams = 0, synchronized = 0;
static __thread void *current;
static char context, stream;

int cuInit(unsigned flags) { return flags ? 1 : gpus < 0 ? 100 : 0; }
int cuGetErrorString(int status, const char **text) {
    *text = status == 2 ? "out of memory" : status == 201 ? "invalid context" : "no CUDA device"; return 0; }
int cuDeviceGetCount(int *count) { *count = gpus; return 0; }
int cuDeviceGet(int *device, int index) { *device = 40 + index; return index ? 101 : 0; }
int cuDeviceGetName(char *name, int size, int device) {
    if (device != 40) return 101; strncpy(name, "Made-up GPU", size); return 0; }
int cuDeviceGetAttribute(int *value, int which, int device) {
    if (device != 40) return 101; *value = which == 75 ? 8 : which == 76 ? 9 : -1; return 0; }
int cuDriverGetVersion(int *version) { *version = 12060; return 0; }
int cuDevicePrimaryCtxRetain(void **result, int device) {
    if (device != 40) return 101; contexts++; *result = &context; return 0; }
int cuDevicePrimaryCtxRelease_v2(int device) { contexts--; return device == 40 ? 0 : 101; }
int cuCtxSetCurrent(void *wanted) { current = wanted; return wanted == &context ? 0 : 201; }
int cuStreamCreate(void **result, unsigned flags) {
    if (!current) return 201; streams++; *result = &stream; return flags == 1 ? 0 : 1; }
int cuStreamDestroy_v2(void *which) { streams--; return which == &stream ? 0 : 1; }
int cuStreamSynchronize(void *which) { synchronized++; return which == &stream ? 0 : 1; }
/* Addresses with high bits set, as on a real device: cut to 32 bits they would not survive. */
#define TAG 0x7f00000000000000ULL
int cuMemAlloc_v2(uint64_t *result, size_t size) {
    if (!current) return 201; if (fail_alloc) return 2;
    live_buffers++; *result = (uint64_t)(uintptr_t)malloc(size) ^ TAG; return 0; }
int cuMemFree_v2(uint64_t address) { live_buffers--; free((void *)(uintptr_t)(address ^ TAG)); return 0; }
int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t size, void *which) {
    if (!current || which != &stream) return 201;
    memcpy((void *)(uintptr_t)(to ^ TAG), from, size); return 0; }
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t size, void *which) {
    if (!current || which != &stream) return 201;
    memcpy(to, (void *)(uintptr_t)(from ^ TAG), size); return 0; }
"""


def compile_driver(folder: Path) -> Path:
    """`libcuda.so.1` in the folder: one GPU of compute capability 8.9. Skips where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    (folder / "driver.c").write_text(DRIVER)
    library = folder / "libcuda.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, folder / "driver.c"], check=True)
    return library
