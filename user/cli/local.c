/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Services and endpoints declared by command.
 *
 * A word KEY=VALUE is a key of the schema of services with its value in YAML, as it would stand in
 * a file: `check='{ http: /healthz }'`. KEY= takes it back to its default. Of a service,
 * words without "=" are its frontends. The agent judges all of it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/table.h"
#include "control/client.h"
#include "core/cleanup.h"
#include "core/text.h"

/* "KEY: VALUE" on a line of its own, so that nobody's value reaches into the next key. */
static int put_key(const char *word, struct fl_text *out, struct fl_failure *failure)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz_0123456789";
	const char *equals = strchr(word, '=');
	size_t length = equals ? (size_t)(equals - word) : 0;

	if (!length || strspn(word, letters) != length)
		return fl_fail(failure, -EINVAL,
			"\"%s\" is no key and value, expected KEY=VALUE, such as weight=2", word);
	if (strpbrk(equals, "\r\n"))
		return fl_fail(failure, -EINVAL,
			"the value of %.*s has several lines, expected one: [a, b], { key: value }",
			(int)length, word);
	fl_text_printf(out, "%.*s: %s\n", (int)length, word, equals + 1);
	return 0;
}

/* "frontends: [...]" of the words that are no keys; nothing if there are none. */
static int put_frontends(char **words, struct fl_text *out, struct fl_failure *failure)
{
	bool some = false;

	for (; *words; words++) {
		if (strchr(*words, '='))
			continue;
		if (strspn(*words, "0123456789abcdefABCDEF.:[]/tcpud") != strlen(*words))
			return fl_fail(failure, -EINVAL,
				"\"%s\" is neither a frontend nor a key, expected "
				"ADDRESS:PORT/tcp or KEY=VALUE",
				*words);
		fl_text_printf(out, "%s\"%s\"", some ? ", " : "frontends: [", *words);
		some = true;
	}
	if (some)
		fl_text_puts(out, "]\n");
	return 0;
}

static int put_words(char **words, bool frontends, struct fl_text *out, struct fl_failure *failure)
{
	int r = frontends ? put_frontends(words, out, failure) : 0;

	for (; *words && r == 0; words++)
		if (!frontends || strchr(*words, '='))
			r = put_key(*words, out, failure);
	fl_text_putc(out, '\0');
	return r == 0 && out->failed ? fl_fail(failure, -ENOMEM, "out of memory") : r;
}

/* @param endpoint  NULL = the service itself @param words  of keys; ends with NULL */
static int change(const struct fl_cli *cli, const char *verb, const char *service,
	const char *endpoint, char **words, struct fl_failure *failure, json_t **ret)
{
	_cleanup_free_ char *name = fl_client_encode(service);
	_cleanup_free_ char *address = fl_client_encode(endpoint ? endpoint : "");
	_cleanup_free_ char *path = NULL;
	struct fl_text body = { 0 };
	int r = put_words(words, !endpoint, &body, failure);

	if (r == 0 && (!name || !address ||
			      asprintf(&path, "/api/v1/local?change=%s&service=%s%s%s", verb, name,
				      endpoint ? "&endpoint=" : "", address) < 0)) {
		path = NULL;
		r = fl_fail(failure, -ENOMEM, "out of memory");
	}
	if (r == 0)
		r = fl_client_post(cli->socket, path, body.data, failure, ret);
	fl_text_done(&body);
	return r;
}

FL_COMMAND(service_add)
{
	return change(cli, "add", arguments[0], NULL, arguments + 1, failure, ret);
}

FL_COMMAND(service_set)
{
	return change(cli, "set", arguments[0], NULL, arguments + 1, failure, ret);
}

FL_COMMAND(service_delete)
{
	return change(cli, "delete", arguments[0], NULL, arguments + 1, failure, ret);
}

FL_COMMAND(endpoint_add)
{
	return change(cli, "add", arguments[0], arguments[1], arguments + 2, failure, ret);
}

FL_COMMAND(endpoint_set)
{
	return change(cli, "set", arguments[0], arguments[1], arguments + 2, failure, ret);
}

FL_COMMAND(endpoint_delete)
{
	return change(cli, "delete", arguments[0], arguments[1], arguments + 2, failure, ret);
}
