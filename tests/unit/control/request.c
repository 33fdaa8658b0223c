/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <string.h>

#include "control/request.h"

Test(control_request, percent_escapes)
{
	static const struct {
		const char *text;
		const char *decoded; /* NULL = refused */
	} rows[] = {
		{ "/metrics", "/metrics" },
		{ "", "" },
		{ "/services/team%2Fweb", "/services/team/web" },
		{ "/services/team%2fweb", "/services/team/web" },
		{ "a%20b", "a b" },
		{ "%25", "%" },
		{ "%2525", "%25" }, /* once, not twice */
		{ "%C3%BC", "\xc3\xbc" },
		{ "a+b", "a+b" },
		{ "%", NULL },
		{ "abc%4", NULL },
		{ "%zz", NULL },
		{ "%4g", NULL },
		{ "% 41", NULL },
		{ "%00", NULL },
		{ "a%0ab", NULL },
		{ "a\rb", NULL },
		{ "%7f", NULL },
		{ "0123456789abcde", "0123456789abcde" },
		{ "0123456789abcdef", NULL },
	};
	char buffer[64];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool short_room = strncmp(rows[i].text, "0123", 4) == 0;
		bool ok = fl_percent_decode(rows[i].text, buffer, short_room ? 16 : sizeof(buffer));

		cr_expect_eq(ok, rows[i].decoded != NULL, "%s", rows[i].text);
		cr_expect_str_eq(
			buffer, rows[i].decoded ? rows[i].decoded : "", "%s", rows[i].text);
	}
}

Test(control_request, a_loopback_listener_answers_to_no_name)
{
	static const struct {
		const char *host;
		bool local;
	} rows[] = {
		{ "127.0.0.1", true },
		{ "127.0.0.1:9707", true },
		{ "[::1]:9707", true },
		{ "[::1]", true },
		{ "localhost", true },
		{ "LocalHost:9707", true },
		{ "localhost:", true },
		{ "evil.example", false },
		{ "evil.example:9707", false },
		{ "localhost.evil.example", false },
		{ "localhost:9707.evil.example", false },
		{ "127.0.0.1.evil.example", false },
		{ "127.0.0.1@evil.example", false },
		{ "", false },
		{ "[::1", false },
		{ "averyveryveryveryveryveryveryveryveryveryveryveryveryveryveryveryverylongname."
		  "example",
			false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(fl_host_is_local(rows[i].host), rows[i].local, "%s", rows[i].host);
}

Test(control_request, which_text_format)
{
	static const struct {
		const char *accept;
		bool openmetrics;
	} rows[] = {
		{ NULL, false },
		{ "", false },
		{ "*/*", false },
		{ "text/plain", false },
		{ "application/openmetrics-text", true },
		{ "application/openmetrics-text;version=1.0.0,application/"
		  "openmetrics-text;version=0.0.1;q=0.75,"
		  "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
			true },
		{ "text/plain;version=0.0.4;q=0.9, "
		  "application/openmetrics-text;version=1.0.0;q=0.3",
			false },
		{ "text/plain, application/openmetrics-text", true },
		{ "Application/OpenMetrics-Text; q=1", true },
		{ "application/openmetrics-text;q=0", false },
		{ "application/openmetrics-text;q=0.000", false },
		{ "application/openmetrics-text;q=0.001", true },
		{ "application/openmetrics-text;q=nan", false },
		{ "application/openmetrics-text;q=", false },
		{ "application/openmetrics-text;", true },
		{ ",,,;q=1", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(fl_accepts_openmetrics(rows[i].accept), rows[i].openmetrics, "%s",
			rows[i].accept ? rows[i].accept : "none");
}
