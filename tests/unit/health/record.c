/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/record.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "health/overlay.h"
#include "lib/declared.h"

TestSuite(record);

static struct fl_health_key key(const char *service, const char *socket)
{
	struct fl_health_key key = { .service = service };

	cr_assert_eq(fl_socket_parse(socket, false, &key.addr, &key.port), 0);
	return key;
}

static char *written(const struct fl_health *health)
{
	struct fl_text text = { 0 };

	fl_health_write(health, &text);
	fl_text_putc(&text, '\0');
	cr_assert(!text.failed);
	return text.data;
}

static void lay(struct fl_health *health, struct fl_snapshot *merged, uint64_t now_ms)
{
	struct fl_overlay *overlay = fl_overlay_new();
	struct fl_snapshot *laid = NULL;

	cr_assert_eq(fl_overlay_lay(overlay, health, merged, 1, now_ms, &laid), 0);
	fl_snapshot_unref(laid);
	fl_overlay_free(overlay);
}

Test(record, what_was_found_is_known_to_the_next)
{
	struct fl_snapshot *merged =
		test_snapshot_parse("web 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2; six "
				    "[2001:db8::1]:80/tcp = [2001:db8:1::1]:81");
	struct fl_health *old = fl_health_new(NULL, NULL), *new = fl_health_new(NULL, NULL);
	struct fl_health_key portless = key("web", "192.0.2.1"),
			     six = key("six", "[2001:db8:1::1]:81");
	char *text, *again;

	cr_assert_eq(fl_health_set_probe(old, &portless, FL_SIGN_DOWN, "Connection\nrefused"), 0);
	cr_assert_eq(fl_health_set_probe(old, &six, FL_SIGN_UP, "HTTP 200"), 0);
	cr_assert_eq(fl_health_set_heartbeat(old, &six, FL_SIGN_DOWN, NULL), 0);
	lay(old, merged, 1700000000123);
	text = written(old);
	again = strdup(text);
	cr_assert_eq(fl_health_read(new, text), 2);
	cr_assert_eq(fl_health_signals(new, &portless)->probe, FL_SIGN_DOWN);
	cr_assert_eq(fl_health_signals(new, &portless)->heartbeat, FL_SIGN_NONE);
	cr_assert_eq(fl_health_signals(new, &six)->probe, FL_SIGN_UP);
	cr_assert_eq(fl_health_signals(new, &six)->heartbeat, FL_SIGN_DOWN);
	lay(new, merged, 1800000000000);
	cr_assert_eq(fl_health_verdict(new, &portless)->now.state, FL_DOWN);
	cr_assert_eq(fl_health_verdict(new, &portless)->since_ms, 1700000000123);
	cr_assert_str_eq(fl_health_verdict(new, &portless)->detail, "Connection refused");
	free(text);
	text = written(new);
	cr_assert_str_eq(text, again, "and to the one after that");
	free(text);
	free(again);
	fl_health_free(old);
	fl_health_free(new);
	fl_snapshot_unref(merged);
}

Test(record, what_agents_said_is_known_to_the_next)
{
	static const struct {
		enum fl_sign sign;
		struct fl_agent_weight weight;
		const char *words;
	} rows[] = {
		{ FL_SIGN_UP, { 75, false }, "agent=up,75% " },
		{ FL_SIGN_DOWN, { 100, false }, "agent=down,100% " },
		{ FL_SIGN_DRAINING, { 256, true }, "agent=drain,weight:256 " },
		{ FL_SIGN_MAINTENANCE, { 65535, false }, "agent=maint,65535% " },
	};
	struct fl_health_key k = key("web", "192.0.2.1");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_health *old = fl_health_new(NULL, NULL), *new = fl_health_new(NULL, NULL);
		const struct fl_signals *signals;
		char *text;

		cr_assert_eq(fl_health_set_agent(old, &k, rows[i].sign, rows[i].weight, "so"), 0);
		text = written(old);
		cr_expect(strstr(text, rows[i].words), "%s: %s", rows[i].words, text);
		cr_assert_eq(fl_health_read(new, text), 1, "%s", rows[i].words);
		signals = fl_health_signals(new, &k);
		cr_expect_eq(signals->agent, rows[i].sign, "%s", rows[i].words);
		cr_expect_eq(
			signals->agent_weight.number, rows[i].weight.number, "%s", rows[i].words);
		cr_expect_eq(signals->agent_weight.is_absolute, rows[i].weight.is_absolute, "%s",
			rows[i].words);
		free(text);
		fl_health_free(old);
		fl_health_free(new);
	}
}

Test(record, guesses_and_words_are_not_written)
{
	struct fl_health *health = fl_health_new(NULL, NULL);
	struct fl_health_key one = key("web", "192.0.2.1"), two = key("web", "192.0.2.2");
	struct fl_word word = { .kind = FL_WORD_DOWN, .weight = FL_WEIGHT_DECLARED };
	char *text;

	cr_assert_eq(fl_health_set_probe(health, &one, FL_SIGN_STARTING, NULL), 0);
	cr_assert_eq(fl_health_set_word(health, &two, &word), 0);
	text = written(health);
	cr_assert_str_eq(text, "");
	free(text);
	fl_health_free(health);
}

Test(record, lines_that_make_no_sense_are_left_out)
{
	struct fl_health *health = fl_health_new(NULL, NULL);
	char text[] =
		"probe=down heartbeat=none since=1 state=down web 192.0.2.1:80 x\n"
		"probe=dowm heartbeat=none since=1 state=down web 192.0.2.2:80 x\n"
		"probe=down heartbeat=none since=1 state=gone web 192.0.2.2:80 x\n"
		"probe=down heartbeat=none since=1 state=down web 192.0.2.300:80 x\n"
		"probe=down heartbeat=none since=x state=down web 192.0.2.2:80 x\n"
		"\n"
		"probe=none heartbeat=none agent=what since=1 state=down web 192.0.2.4:80 x\n"
		"probe=none heartbeat=none agent=up,1% since=x state=down web 192.0.2.5:80 x\n"
		"probe=down heartbeat=none since=1 state=down web\n"
		"probe=down heartbeat=none since=1 state=down web 192.0.2.3:80";

	cr_assert_eq(fl_health_read(health, text), 2);
	cr_assert_eq(fl_health_count(health), 2);
	fl_health_free(health);
}
