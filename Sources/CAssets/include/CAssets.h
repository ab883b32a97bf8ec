#pragma once
#include <stddef.h>

/// A text that travels inside the binary. `bytes` lives as long as the process.
typedef struct {
    const unsigned char *bytes;
    size_t count;
} LeaseholdAsset;
