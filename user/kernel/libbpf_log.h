/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "core/failure.h"

/**
 * @file libbpf_log.h
 * What libbpf and the kernel's verifier say while something is loaded: each line
 * to the debug log, the end of it kept for the failure that may follow.
 *
 * One thread loads at a time; the kept text is static.
 */

/** Begin to listen and forget what was kept. */
void fl_libbpf_log_begin(void);

/**
 * Say why loading failed, as far as libbpf's words and the state of this machine
 * tell: missing capabilities, lockdown, memory, an old kernel, no BTF, a program
 * that the verifier refuses.
 * @param code  negative errno of the call that failed
 * @return `code`
 */
int fl_libbpf_log_explain(struct fl_failure *failure, int code);
