/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/words.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(words);

static struct fl_health_key key(const char *service, const char *socket)
{
	struct fl_health_key key = { .service = service };

	cr_assert_eq(fl_socket_parse(socket, false, &key.addr, &key.port), 0);
	return key;
}

static void say(struct fl_health *health, const char *socket, struct fl_word word)
{
	struct fl_health_key of = key("web", socket);

	cr_assert_eq(fl_health_set_word(health, &of, &word), 0);
}

static struct fl_word word_on(const struct fl_health *health, const char *socket)
{
	struct fl_word word = FL_WORD_UNSAID;
	struct fl_health_key of = key("web", socket);

	fl_health_word(health, &of, &word);
	return word;
}

static char *written(const struct fl_health *health)
{
	struct fl_text text = { 0 };

	fl_words_write(health, &text);
	fl_text_putc(&text, '\0');
	cr_assert(!text.failed);
	return text.data;
}

Test(words, what_was_said_stands_for_the_next_agent)
{
	struct fl_health *old = fl_health_new(NULL, NULL), *new = fl_health_new(NULL, NULL);
	struct fl_word word;
	char *text, *again;
	size_t bad = 7;

	say(old, "192.0.2.1",
		(struct fl_word){ FL_WORD_DRAIN, FL_WEIGHT_DECLARED, "drain, disk\nfull",
			1700000000001, 1700000300001 });
	say(old, "[2001:db8::1]:80",
		(struct fl_word){ FL_WORD_NONE, 0, "weight 0", 1700000000002, 0 });
	say(old, "192.0.2.2:80", (struct fl_word){ FL_WORD_UP, 65535, NULL, 3, 0 });
	text = written(old);
	again = strdup(text);
	cr_assert_eq(fl_words_read(new, text, &bad), 3);
	cr_assert_eq(bad, 0);
	free(text);
	word = word_on(new, "192.0.2.1");
	cr_assert_eq(word.kind, FL_WORD_DRAIN);
	cr_assert_eq(word.weight, FL_WEIGHT_DECLARED);
	cr_assert_str_eq(word.note, "drain, disk full");
	cr_assert_eq(word.said_ms, 1700000000001);
	cr_assert_eq(word.until_ms, 1700000300001);
	cr_assert_eq(word_on(new, "[2001:db8::1]:80").weight, 0);
	cr_assert_eq(word_on(new, "192.0.2.2:80").kind, FL_WORD_UP);
	text = written(new);
	cr_assert_str_eq(text, again);
	free(text);
	free(again);
	fl_health_free(old);
	fl_health_free(new);
}

Test(words, lines_that_make_no_sense_are_left_out_and_counted)
{
	struct fl_health *health = fl_health_new(NULL, NULL);
	char text[] = "word=drain weight=- said=1 until=0 web 192.0.2.1:80 drain\n"
		      "word=drown weight=- said=1 until=0 web 192.0.2.2:80 x\n"
		      "word=drain weight=65536 said=1 until=0 web 192.0.2.2:80 x\n"
		      "word=drain weight=-1 said=1 until=0 web 192.0.2.2:80 x\n"
		      "word=drain weight=- said=x until=0 web 192.0.2.2:80 x\n"
		      "word=drain weight=- said=1 until=0 web 192.0.2.300:80 x\n"
		      "word=drain weight=- said=1 until=0 web\n"
		      "word=down weight=3 said=1 until=0 web 192.0.2.3:80";
	size_t bad = 0;

	cr_assert_eq(fl_words_read(health, text, &bad), 2);
	cr_assert_eq(bad, 6);
	cr_assert_eq(fl_health_count(health), 2);
	fl_health_free(health);
}

Test(words, drains_end_at_their_deadline)
{
	static const struct {
		uint64_t now_ms;
		int expired;
		uint64_t next_ms;
		enum fl_word_kind first, second;
	} rows[] = {
		{ 999, 0, 1000, FL_WORD_DRAIN, FL_WORD_DRAIN },
		{ 1000, 1, 2000, FL_WORD_DOWN, FL_WORD_DRAIN },
		{ 1000, 0, 2000, FL_WORD_DOWN, FL_WORD_DRAIN },
		{ 5000, 1, 0, FL_WORD_DOWN, FL_WORD_DOWN },
	};
	struct fl_health *health = fl_health_new(NULL, NULL);
	uint64_t next_ms;

	say(health, "192.0.2.1:80", (struct fl_word){ FL_WORD_DRAIN, 5, "drain", 1, 1000 });
	say(health, "192.0.2.2:80",
		(struct fl_word){ FL_WORD_DRAIN, FL_WEIGHT_DECLARED, "drain", 1, 2000 });
	say(health, "192.0.2.3:80", (struct fl_word){ FL_WORD_DRAIN, 1, "drain", 1, 0 });
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_expect_eq(fl_words_expire(health, rows[i].now_ms, &next_ms), rows[i].expired,
			"row %zu", i);
		cr_expect_eq(next_ms, rows[i].next_ms, "row %zu", i);
		cr_expect_eq(word_on(health, "192.0.2.1:80").kind, rows[i].first, "row %zu", i);
		cr_expect_eq(word_on(health, "192.0.2.2:80").kind, rows[i].second, "row %zu", i);
	}
	cr_expect_eq(word_on(health, "192.0.2.1:80").weight, 5, "the weight is kept");
	cr_expect_eq(word_on(health, "192.0.2.3:80").kind, FL_WORD_DRAIN, "no deadline, no end");
	fl_health_free(health);
}

Test(words, what_was_said_of_endpoints_that_are_removed_goes_with_them)
{
	struct fl_health *health = fl_health_new(NULL, NULL);
	struct fl_health_key one = key("web", "192.0.2.1:80"), other = key("shop", "192.0.2.1:80");
	const struct fl_word drain = { FL_WORD_DRAIN, 5, "drain", 1, 0 };

	say(health, "192.0.2.1:80", drain);
	say(health, "192.0.2.1:81", drain);
	say(health, "192.0.2.2:80", drain);
	cr_assert_eq(fl_health_set_word(health, &other, &drain), 0);
	cr_expect_eq(fl_words_forget(health, "web", &one), 1);
	cr_expect_eq(fl_words_forget(health, "web", &one), 0);
	cr_expect_eq(word_on(health, "192.0.2.1:80").kind, FL_WORD_NONE);
	cr_expect_eq(word_on(health, "192.0.2.1:81").kind, FL_WORD_DRAIN, "another port");
	cr_expect_eq(fl_words_forget(health, "web", NULL), 2);
	cr_expect_eq(fl_words_forget(health, "nobody", NULL), 0);
	cr_expect_eq(fl_words_forget(health, "shop", NULL), 1, "that of the other service");
	fl_health_free(health);
}
