/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "cli/cli.h"
#include "core/text.h"

/* What is written about the commands says what their table says. The tests run
 * in the top directory of the sources. */

static char *read_file(const char *path)
{
	struct fl_text text = { 0 };
	FILE *file = fopen(path, "r");
	char piece[4096];
	size_t got;

	cr_assert_not_null(file, "%s", path);
	while ((got = fread(piece, 1, sizeof(piece), file)))
		fl_text_put(&text, piece, got);
	fclose(file);
	fl_text_putc(&text, '\0');
	return text.data;
}

static char *help_of(const struct fl_object *object, const struct fl_command *command)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	fl_cli_help(object, command, out);
	fclose(out);
	return text;
}

/* "service list" */
static char *name_of(const struct fl_command *row, char *buffer, size_t size)
{
	snprintf(buffer, size, "%s%s%s", row->object, row->command ? " " : "",
		row->command ? row->command : "");
	return buffer;
}

Test(cli_words, the_man_page_names_every_command)
{
	char *page = read_file("user/man/fairlead.8.scd");
	char *later = strstr(page, "known and not supported");

	cr_assert_not_null(later);
	*later++ = '\0'; /* what is described ends here */
	for (const struct fl_command *row = fl_commands; row->object; row++) {
		char name[64], heading[80], mention[80];

		name_of(row, name, sizeof(name));
		snprintf(heading, sizeof(heading), "\n*%s*", name);
		snprintf(mention, sizeof(mention), "*%s*", name);
		cr_expect_eq(
			strstr(page, heading) != NULL, row->run != NULL, "%s is described", name);
		cr_expect(row->run || strstr(later, mention), "%s is not mentioned", name);
	}
	free(page);
}

Test(cli_words, the_man_page_says_what_json_there_is)
{
	char *page = read_file("user/man/fairlead.8.scd");
	char *json = strstr(page, "\n# JSON\n");

	cr_assert_not_null(json);
	for (const struct fl_command *row = fl_commands; row->object; row++) {
		char name[64], heading[80];

		snprintf(heading, sizeof(heading), "\n*%s*", name_of(row, name, sizeof(name)));
		cr_expect_eq(strstr(json, heading) != NULL, row->run != NULL, "%s", name);
	}
	free(page);
}

Test(cli_words, help_tells_what_works)
{
	char *all = help_of(NULL, NULL);

	for (const struct fl_command *row = fl_commands; row->object; row++) {
		char name[64], line[80];

		snprintf(line, sizeof(line), "\n  %s ", name_of(row, name, sizeof(name)));
		cr_expect_eq(strstr(all, line) != NULL, row->run != NULL, "%s", name);
	}
	free(all);
}

Test(cli_words, help_of_an_object_has_all_its_commands)
{
	for (const struct fl_object *object = fl_objects; object->name; object++) {
		char *text = help_of(object, NULL);
		int commands = 0;

		for (const struct fl_command *row = fl_commands; row->object; row++) {
			char name[64], line[80];

			if (strcmp(row->object, object->name) != 0)
				continue;
			commands++;
			snprintf(line, sizeof(line), "\n  %s ", name_of(row, name, sizeof(name)));
			cr_expect(strstr(text, line), "%s", name);
			cr_expect(strstr(text, row->help), "%s", name);
		}
		cr_expect_gt(commands, 0, "%s has no command", object->name);
		free(text);
	}
}

/* What completion offers after these words. @return to be freed */
static char *complete(const char *words, int count)
{
	char command[512];
	struct fl_text text = { 0 };
	char piece[512];
	FILE *said;
	size_t got;

	snprintf(command, sizeof(command),
		"bash -c '. scripts/dist/fairlead.bash; COMP_WORDS=(/nonexistent/fairlead %s "
		"\"\"); "
		"COMP_CWORD=%d; _fairlead; echo \" ${COMPREPLY[*]} \"'",
		words, count + 1);
	said = popen(command, "r");
	cr_assert_not_null(said);
	while ((got = fread(piece, 1, sizeof(piece), said)))
		fl_text_put(&text, piece, got);
	cr_assert_eq(pclose(said), 0, "%s", command);
	fl_text_putc(&text, '\0');
	return text.data;
}

Test(cli_words, completion_offers_every_object_that_works)
{
	char *offered = complete("", 0);

	for (const struct fl_object *object = fl_objects; object->name; object++) {
		bool works = false;
		char word[64];

		for (const struct fl_command *row = fl_commands; row->object; row++)
			works |= strcmp(row->object, object->name) == 0 && row->run;
		snprintf(word, sizeof(word), " %s ", object->name);
		cr_expect_eq(
			strstr(offered, word) != NULL, works, "%s in%s", object->name, offered);
	}
	free(offered);
}

Test(cli_words, completion_offers_every_command_that_works)
{
	for (const struct fl_command *row = fl_commands; row->object; row++) {
		char *offered;
		char word[64];

		if (!row->command)
			continue;
		offered = complete(row->object, 1);
		snprintf(word, sizeof(word), " %s ", row->command);
		cr_expect_eq(strstr(offered, word) != NULL, row->run != NULL, "%s %s in%s",
			row->object, row->command, offered);
		free(offered);
	}
}
