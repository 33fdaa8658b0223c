/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/**
 * @file defaults.h
 * Where things are unless somebody says otherwise: agent and CLI must agree.
 */
#define FL_CONFIG_DEFAULT    "/etc/fairlead/fairlead.yaml"
#define FL_STATE_DIR_DEFAULT "/var/lib/fairlead"
#define FL_BPFFS_DEFAULT     "/sys/fs/bpf/fairlead"
#define FL_SOCKET_DEFAULT    "/run/fairlead/fairleadd.sock"
