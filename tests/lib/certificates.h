/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/**
 * @file certificates.h
 * Certificates for tests, made on the spot in a directory.
 */

/**
 * Write DIRECTORY/NAME.crt and DIRECTORY/NAME.key (PEM, P-256, good for a day).
 * @param names   subject alternative names as in openssl's x509v3_config:
 *                "DNS:consul.test,IP:127.0.0.1"; NULL = a CA
 * @param issuer  a CA made before in the same directory; NULL = self-signed
 * Fails the test when it cannot.
 */
void test_certificate(
	const char *directory, const char *name, const char *names, const char *issuer);
