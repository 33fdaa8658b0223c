/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/**
 * @file hash.h
 * uthash with its fatal exit on a failed allocation switched off: after
 * HASH_ADD, `hh.tbl` of an element that could not be added is NULL.
 */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>
