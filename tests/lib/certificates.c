/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/certificates.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#define DAY_S (24 * 3600)

static FILE *open_part(const char *directory, const char *name, const char *part, const char *mode)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.%s", directory, name, part);
	file = fopen(path, mode);
	cr_assert_not_null(file, "%s: cannot be opened", path);
	return file;
}

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX context;

	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	cr_assert_not_null(extension, "extension %s", value);
	X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
}

static void set_names(X509 *certificate, const char *name, X509 *issuer)
{
	X509_NAME *subject = X509_get_subject_name(certificate);
	uint32_t serial;

	RAND_bytes((unsigned char *)&serial, sizeof(serial));
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial >> 1);
	X509_NAME_add_entry_by_txt(
		subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(certificate, issuer ? X509_get_subject_name(issuer) : subject);
}

static void store(const char *directory, const char *name, X509 *certificate, EVP_PKEY *key)
{
	FILE *file = open_part(directory, name, "crt", "w");

	cr_assert_eq(PEM_write_X509(file, certificate), 1);
	fclose(file);
	file = open_part(directory, name, "key", "w");
	cr_assert_eq(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(file);
}

void test_certificate(
	const char *directory, const char *name, const char *names, const char *issuer)
{
	EVP_PKEY *key = EVP_EC_gen("P-256"), *signer = key;
	X509 *certificate = X509_new(), *above = NULL;
	FILE *file;

	if (issuer) {
		file = open_part(directory, issuer, "crt", "r");
		above = PEM_read_X509(file, NULL, NULL, NULL);
		fclose(file);
		file = open_part(directory, issuer, "key", "r");
		signer = PEM_read_PrivateKey(file, NULL, NULL, NULL);
		fclose(file);
		cr_assert(above && signer, "%s: is no CA", issuer);
	}
	X509_set_version(certificate, 2);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -DAY_S);
	X509_gmtime_adj(X509_getm_notAfter(certificate), DAY_S);
	X509_set_pubkey(certificate, key);
	set_names(certificate, name, above);
	if (names)
		add_extension(certificate, above, NID_subject_alt_name, names);
	else
		add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
	cr_assert_gt(X509_sign(certificate, signer, EVP_sha256()), 0);
	store(directory, name, certificate, key);
	X509_free(certificate);
	X509_free(above);
	if (signer != key)
		EVP_PKEY_free(signer);
	EVP_PKEY_free(key);
}
