#pragma once
#include <stddef.h>

/// The texts that travel inside the binary: dashboard, browser module, example pages.
///
/// Handed over byte by byte, without a pointer, so that a room under strict memory safety can take them without
/// `unsafe`. Copy each once at the start (300 KB take about a millisecond), then serve the copy.

/// What an asset consists of.
typedef enum __attribute__((enum_extensibility(closed))) {
    /// The path it is served at, such as `/gpu-controller.js`.
    LeaseholdAssetPath __attribute__((swift_name("path"))),
    /// Its `Content-Type`.
    LeaseholdAssetType __attribute__((swift_name("type"))),
    /// The text itself, UTF-8.
    LeaseholdAssetContent __attribute__((swift_name("content"))),
} LeaseholdAssetPart;

/// Number of assets; they are numbered from 0.
int leasehold_asset_count(void);

/// Bytes in one part of an asset. 0 where there is no such asset.
int leasehold_asset_size(int asset, LeaseholdAssetPart part);

/// One byte of a part. 0 where there is no such byte.
unsigned char leasehold_asset_byte(int asset, LeaseholdAssetPart part, int offset);
