/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "core/json_pull.h"

#include <string.h>

#include "core/text.h"

void fl_pull_open(struct fl_pull *pull, char *text, size_t length)
{
	*pull = (struct fl_pull){ .at = text, .start = text, .end = text + length };
}

void fl_pull_fail(struct fl_pull *pull, const char *why)
{
	if (pull->error)
		return;
	pull->error = why;
	pull->where = (size_t)(pull->at - pull->start);
	pull->at = pull->end;
}

static void skip_space(struct fl_pull *pull)
{
	while (pull->at < pull->end &&
		(*pull->at == ' ' || *pull->at == '\t' || *pull->at == '\n' || *pull->at == '\r'))
		pull->at++;
}

bool fl_pull_finish(struct fl_pull *pull)
{
	skip_space(pull);
	if (pull->at < pull->end || pull->depth)
		fl_pull_fail(pull, pull->depth ? "something is left unread" : "something follows");
	return !pull->error;
}

enum fl_pull_kind fl_pull_peek(struct fl_pull *pull)
{
	skip_space(pull);
	if (pull->error)
		return FL_PULL_BROKEN;
	if (pull->at == pull->end) {
		fl_pull_fail(pull, "ends in the middle");
		return FL_PULL_BROKEN;
	}
	switch (*pull->at) {
	case '"':
		return FL_PULL_STRING;
	case '[':
		return FL_PULL_LIST;
	case '{':
		return FL_PULL_OBJECT;
	case 't':
	case 'f':
		return FL_PULL_BOOL;
	case 'n':
		return FL_PULL_NULL;
	default:
		if (*pull->at == '-' || (*pull->at >= '0' && *pull->at <= '9'))
			return FL_PULL_NUMBER;
	}
	fl_pull_fail(pull, "no value where one must be");
	return FL_PULL_BROKEN;
}

/* ------------------------------------------------------------------- texts */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The four digits behind \u. @return -1 when they are none */
static int32_t hex4(const struct fl_pull *pull, const char *at)
{
	int32_t value = 0;

	if (pull->end - at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = hex_digit(at[i]);

		if (digit < 0)
			return -1;
		value = value << 4 | digit;
	}
	return value;
}

/* Write a character in UTF-8: never longer than its escape was. */
static char *put_utf8(char *to, uint32_t c)
{
	if (c < 0x80) {
		*to++ = (char)c;
	} else if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
		*to++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*to++ = (char)(0xe0 | c >> 12);
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	} else {
		*to++ = (char)(0xf0 | c >> 18);
		*to++ = (char)(0x80 | (c >> 12 & 0x3f));
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	}
	return to;
}

/* What stands behind "\u". @param at  of the first digit @return NULL when wrong (told) */
static char *take_unicode(struct fl_pull *pull, const char **at, char *to)
{
	int32_t c = hex4(pull, *at);
	int32_t low;

	*at += 4;
	if (c == 0)
		fl_pull_fail(pull, "a text has U+0000");
	else if (c < 0 || (c >= 0xdc00 && c < 0xe000))
		fl_pull_fail(pull, "a text has a wrong \\u escape");
	if (pull->error)
		return NULL;
	if (c < 0xd800 || c >= 0xdc00)
		return put_utf8(to, (uint32_t)c);
	low = pull->end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u' ? hex4(pull, *at + 2)
									  : -1;
	if (low < 0xdc00 || low >= 0xe000) {
		fl_pull_fail(pull, "a text has half a surrogate pair");
		return NULL;
	}
	*at += 6;
	return put_utf8(to, 0x10000 + ((uint32_t)(c - 0xd800) << 10) + (uint32_t)(low - 0xdc00));
}

/* @param at  behind the backslash @return where to go on writing, NULL when wrong (told) */
static char *take_escape(struct fl_pull *pull, const char **at, char *to)
{
	static const char from[] = "\"\\/bfnrt";
	static const char into[] = "\"\\/\b\f\n\r\t";
	char c = *at < pull->end ? *(*at)++ : '\0';
	const char *found = c ? strchr(from, c) : NULL;

	if (c == 'u')
		return take_unicode(pull, at, to);
	if (!found) {
		fl_pull_fail(pull, "a text has a wrong escape");
		return NULL;
	}
	*to++ = into[found - from];
	return to;
}

/* One that is not plain ASCII. @return as take_escape */
static char *take_special(struct fl_pull *pull, const char **at, char *to)
{
	size_t size;

	if (**at == '\\') {
		(*at)++;
		return take_escape(pull, at, to);
	}
	size = (unsigned char)**at < 0x80 ? 0 : fl_text_utf8(*at, (size_t)(pull->end - *at));
	if (!size) {
		fl_pull_fail(pull, (unsigned char)**at < 0x20 ? "a text has a control character"
							      : "a text is no UTF-8");
		return NULL;
	}
	memmove(to, *at, size);
	*at += size;
	return to + size;
}

/* A text, decoded in place; the closing quote becomes its NUL. */
static const char *take_text(struct fl_pull *pull)
{
	char *text = pull->at + 1;
	const char *at = text;
	char *to = text;

	while (at < pull->end && *at != '"') {
		if (*at != '\\' && (unsigned char)(*at - 0x20) < 0x60) { /* 0x20 … 0x7f */
			*to++ = *at++;
			continue;
		}
		to = take_special(pull, &at, to);
		if (!to)
			return NULL;
	}
	if (at >= pull->end) {
		fl_pull_fail(pull, "ends in the middle of a text");
		return NULL;
	}
	*to = '\0';
	pull->at = (char *)at + 1;
	return text;
}

/* ----------------------------------------------------------------- scalars */

static const char *skip_digits(const struct fl_pull *pull, const char *at)
{
	while (at < pull->end && *at >= '0' && *at <= '9')
		at++;
	return at;
}

/* Pass over a number. @return whether it is a whole one */
static bool skip_number(struct fl_pull *pull)
{
	const char *at = pull->at + (*pull->at == '-');
	const char *digits = at;
	bool is_whole = true;

	at = skip_digits(pull, at);
	if (at == digits || (*digits == '0' && at - digits > 1)) {
		fl_pull_fail(pull, "a number is wrong");
		return false;
	}
	for (int part = 0; part < 2 && at < pull->end; part++) {
		if (part == 0 ? *at != '.' : *at != 'e' && *at != 'E')
			continue;
		is_whole = false;
		at++;
		if (part == 1 && at < pull->end && (*at == '+' || *at == '-'))
			at++;
		digits = at;
		at = skip_digits(pull, at);
		if (at == digits) {
			fl_pull_fail(pull, "a number is wrong");
			return false;
		}
	}
	pull->at = (char *)at;
	return is_whole;
}

static void skip_word(struct fl_pull *pull)
{
	static const char *const words[] = { "true", "false", "null" };

	for (size_t i = 0; i < 3; i++) {
		size_t length = strlen(words[i]);

		if ((size_t)(pull->end - pull->at) >= length &&
			memcmp(pull->at, words[i], length) == 0) {
			pull->at += length;
			return;
		}
	}
	fl_pull_fail(pull, "no value where one must be");
}

static void skip_scalar(struct fl_pull *pull, enum fl_pull_kind kind)
{
	if (kind == FL_PULL_STRING)
		take_text(pull);
	else if (kind == FL_PULL_NUMBER)
		skip_number(pull);
	else if (kind != FL_PULL_BROKEN)
		skip_word(pull);
}

const char *fl_pull_text(struct fl_pull *pull)
{
	if (fl_pull_peek(pull) == FL_PULL_STRING)
		return take_text(pull);
	fl_pull_skip(pull);
	return NULL;
}

bool fl_pull_integer(struct fl_pull *pull, int64_t *ret)
{
	const char *at;
	uint64_t value = 0;
	bool negative;

	if (fl_pull_peek(pull) != FL_PULL_NUMBER) {
		fl_pull_skip(pull);
		return false;
	}
	at = pull->at;
	negative = *at == '-';
	if (!skip_number(pull))
		return false;
	for (at += negative; at < pull->at; at++) {
		if (value > (uint64_t)INT64_MAX / 10)
			return false;
		value = value * 10 + (uint64_t)(*at - '0');
		if (value > (uint64_t)INT64_MAX)
			return false;
	}
	*ret = negative ? -(int64_t)value : (int64_t)value;
	return true;
}

/* -------------------------------------------------------- lists and objects */

static void enter(struct fl_pull *pull, bool is_object)
{
	uint64_t bit;

	if (pull->depth == FL_PULL_DEPTH) {
		fl_pull_fail(pull, "is nested too deep");
		return;
	}
	bit = (uint64_t)1 << pull->depth++;
	pull->objects = is_object ? pull->objects | bit : pull->objects & ~bit;
	pull->follows &= ~bit;
	pull->at++;
}

bool fl_pull_enter(struct fl_pull *pull, enum fl_pull_kind kind)
{
	if (fl_pull_peek(pull) != kind) {
		fl_pull_skip(pull);
		return false;
	}
	enter(pull, kind == FL_PULL_OBJECT);
	return !pull->error;
}

/* To what comes next in the list or object. @return false at its end, which is left */
static bool advance(struct fl_pull *pull, char closer)
{
	uint64_t bit = pull->depth ? (uint64_t)1 << (pull->depth - 1) : 0;

	skip_space(pull);
	if (pull->error)
		return false;
	if (pull->at == pull->end || !bit) {
		fl_pull_fail(pull, "ends in the middle");
		return false;
	}
	if (*pull->at == closer) {
		pull->at++;
		pull->depth--;
		return false;
	}
	if (pull->follows & bit) {
		if (*pull->at != ',') {
			fl_pull_fail(pull, "no comma where one must be");
			return false;
		}
		pull->at++;
	}
	pull->follows |= bit;
	return true;
}

bool fl_pull_item(struct fl_pull *pull)
{
	return advance(pull, ']') && fl_pull_peek(pull) != FL_PULL_BROKEN;
}

const char *fl_pull_key(struct fl_pull *pull)
{
	const char *key;

	if (!advance(pull, '}'))
		return NULL;
	skip_space(pull);
	if (pull->at == pull->end || *pull->at != '"') {
		fl_pull_fail(pull,
			pull->at == pull->end ? "ends in the middle" : "no key where one must be");
		return NULL;
	}
	key = take_text(pull);
	skip_space(pull);
	if (key && (pull->at == pull->end || *pull->at != ':'))
		fl_pull_fail(pull, "no colon behind a key");
	if (pull->error)
		return NULL;
	pull->at++;
	return key;
}

void fl_pull_skip(struct fl_pull *pull)
{
	unsigned depth = pull->depth;

	do {
		enum fl_pull_kind kind = fl_pull_peek(pull);
		bool more = false;

		if (kind == FL_PULL_LIST || kind == FL_PULL_OBJECT)
			enter(pull, kind == FL_PULL_OBJECT);
		else
			skip_scalar(pull, kind);
		while (pull->depth > depth && !more && !pull->error)
			more = pull->objects >> (pull->depth - 1) & 1 ? fl_pull_key(pull) != NULL
								      : fl_pull_item(pull);
	} while (pull->depth > depth && !pull->error);
}
