/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/addr.h"
#include "core/failure.h"

/**
 * @file bind.h
 * Sockets on an address of this node.
 */

/** The address as system calls take it. @param port host order @return its length */
socklen_t fl_sockaddr_from_ip(
	const struct fl_ip *addr, uint16_t port, struct sockaddr_storage *ret);

/**
 * A nonblocking socket on an address; TCP listens. IPv6 takes IPv6 alone.
 * @param type    SOCK_STREAM or SOCK_DGRAM
 * @param port    host order; 0 = any
 * @param option  the key that names the address, for the hint
 * @return 0; -EADDRINUSE, -EADDRNOTAVAIL, -EACCES and others with words
 */
int fl_bind(int type, const struct fl_ip *addr, uint16_t port, const char *option,
	struct fl_failure *failure, int *ret_fd);
