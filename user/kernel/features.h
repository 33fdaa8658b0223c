/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/**
 * @file features.h
 * What this kernel and this process can do: found by trying, never guessed from
 * a version. For messages when something failed, and for `fairlead doctor`.
 */
enum fl_feature_verdict { FL_FEATURE_YES, FL_FEATURE_NO, FL_FEATURE_UNKNOWN };

struct fl_feature {
	const char *name; /**< "bpf_timer" */
	bool required;    /**< without it fairleadd does not start */
	enum fl_feature_verdict verdict;
	char text[160]; /**< what was found */
	char hint[200]; /**< what to do about it; "" = nothing to do */
};

#define FL_FEATURES_MAX 16

/**
 * Try everything; takes some ten milliseconds. Probing helpers needs CAP_BPF: what could
 * not be tried is unknown.
 * @param ret  FL_FEATURES_MAX rows @return how many were filled in
 */
size_t fl_features_probe(struct fl_feature *ret);

/** Capabilities that fairleadd needs and this process lacks: "CAP_BPF, CAP_NET_ADMIN";
 * "" when it has all. @return `buffer` */
char *fl_features_missing_capabilities(char *buffer, size_t size);
/** Whether the kernel offers its own BTF. */
bool fl_features_has_btf(void);
/** "none", "integrity" or "confidentiality"; the last forbids BPF to read memory. Static. */
const char *fl_features_lockdown(void);
