/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/**
 * @file notify.h
 * Telling the service manager: the sd_notify(3) protocol, one datagram to the
 * socket named by NOTIFY_SOCKET. Without that variable nothing happens.
 */

/** @param state  lines such as "READY=1" or "STATUS=…". @return 0, -errno */
int fl_notify(const char *state);
