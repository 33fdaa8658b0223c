/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>

#include "kernel/kernel.h"

/**
 * @file canary.h
 * That a hook is attached does not mean that it fires: on a machine that mixes cgroups
 * of both versions it may not. So a process goes there and connects.
 */

/** @param cgroup  descriptor of its directory
 * @return false when a connect in it was not seen; true also when that cannot be told (logged) */
bool fl_canary_sings(const struct fl_kernel *kernel, int cgroup);
