/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "core/base64.h"

/* The first seven are RFC 4648's own. */
static const struct {
	const char *text;
	const char *decoded; /* NULL = refused */
} rows[] = {
	{ "", "" },
	{ "Zg==", "f" },
	{ "Zm8=", "fo" },
	{ "Zm9v", "foo" },
	{ "Zm9vYg==", "foob" },
	{ "Zm9vYmE=", "fooba" },
	{ "Zm9vYmFy", "foobar" },
	{ "+/+/", "\xfb\xff\xbf" },
	{ "Zg=", NULL },  /* half a group */
	{ "Zg", NULL },   /* padding lacks */
	{ "Z===", NULL }, /* no byte at all */
	{ "====", NULL },
	{ "Zh==", NULL },     /* bits that belong to no byte */
	{ "Zg==Zg==", NULL }, /* padding in the middle */
	{ "Zm9\n", NULL },
	{ "Zm9-", NULL }, /* the alphabet of URLs */
	{ "Zm 9v", NULL },
};

Test(base64, decodes_what_is_base64_and_refuses_the_rest)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t length = strlen(rows[i].text);
		char *buffer = malloc(FL_BASE64_DECODED(length) + 1);
		size_t decoded = 99;
		int r = fl_base64_decode(rows[i].text, length, buffer, &decoded);

		if (!rows[i].decoded) {
			cr_expect_eq(r, -EINVAL, "'%s' is refused", rows[i].text);
			cr_expect_eq(decoded, 99, "'%s' leaves the length alone", rows[i].text);
		} else {
			cr_expect(r == 0 && decoded == strlen(rows[i].decoded) &&
					  memcmp(buffer, rows[i].decoded, decoded) == 0,
				"'%s' is '%s'", rows[i].text, rows[i].decoded);
		}
		free(buffer);
	}
}
