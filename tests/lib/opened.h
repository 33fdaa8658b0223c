/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "kernel/kernel.h"
#include "kernel/writer.h"

/**
 * @file opened.h
 * Maps and programs in the kernel, as an agent opens them, below a private bpffs
 * (enter one with test_enter_private first).
 */
#define TEST_BPFFS "/sys/fs/bpf/fairlead"

/** A configuration with small limits: 1200 services, 4096 endpoints, 2^19 slots,
 * 65536 flows. Nothing in it is to be freed. */
struct fl_config test_config(void);

/** Open, or fail the test with the words of the failure. */
struct fl_kernel *test_kernel_open(const struct fl_config *config);
/** Only the maps: the verifier takes its time over the programs. */
struct fl_kernel *test_kernel_open_maps(const struct fl_config *config);
struct fl_writer *test_writer_new(struct fl_kernel *kernel);

/** Assign, plan from `applied` (NULL = from nothing) and carry out.
 * @return how many steps there were */
size_t test_apply(struct fl_writer *writer, const struct fl_snapshot *applied,
	struct fl_snapshot *desired, uint32_t now_s);
