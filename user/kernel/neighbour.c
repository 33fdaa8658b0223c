/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/neighbour.h"

#include <linux/neighbour.h>
#include <string.h>

#define NUD_USABLE (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE)

bool fl_neighbour_is_usable(const struct fl_neighbour *neighbour)
{
	return neighbour->belief == FL_NEIGHBOUR_KNOWN ||
	       neighbour->belief == FL_NEIGHBOUR_CONFIRMING;
}

static unsigned probe(struct fl_neighbour *n, uint64_t now_ms)
{
	n->probed = true;
	n->probed_ms = now_ms;
	n->due_ms = now_ms + FL_NEIGHBOUR_PATIENCE_MS;
	return FL_NEIGHBOUR_PROBE;
}

static unsigned feed_usable(
	struct fl_neighbour *n, uint16_t nud, const uint8_t *mac, uint64_t now_ms)
{
	bool news = !fl_neighbour_is_usable(n) || memcmp(n->mac, mac, sizeof(n->mac)) != 0;

	memcpy(n->mac, mac, sizeof(n->mac));
	n->belief = FL_NEIGHBOUR_KNOWN;
	n->backoff_ms = 0;
	n->probed = false;
	n->due_ms = 0;
	if (nud == NUD_STALE) {
		uint64_t again = n->probed_ms ? n->probed_ms + FL_NEIGHBOUR_STALE_MS : 0;

		n->due_ms = again > now_ms ? again : now_ms;
	}
	return news ? FL_NEIGHBOUR_CHANGED : 0;
}

/** The kernel asked, more than once, and got no answer. */
static unsigned give_up(struct fl_neighbour *n, uint64_t now_ms)
{
	bool news = n->belief != FL_NEIGHBOUR_LOST;

	n->belief = FL_NEIGHBOUR_LOST;
	n->backoff_ms = n->backoff_ms * 2;
	if (n->backoff_ms < FL_NEIGHBOUR_BACKOFF_MIN_MS)
		n->backoff_ms = FL_NEIGHBOUR_BACKOFF_MIN_MS;
	if (n->backoff_ms > FL_NEIGHBOUR_BACKOFF_MAX_MS)
		n->backoff_ms = FL_NEIGHBOUR_BACKOFF_MAX_MS;
	n->probed = false;
	n->due_ms = now_ms + n->backoff_ms;
	return news ? FL_NEIGHBOUR_CHANGED : 0;
}

unsigned fl_neighbour_feed(
	struct fl_neighbour *n, uint16_t nud, const uint8_t *mac, uint64_t now_ms)
{
	if ((nud & NUD_USABLE) && mac)
		return feed_usable(n, nud, mac, now_ms);

	/* It is not there, or not any more: our address holds until we know better. */
	if (n->belief == FL_NEIGHBOUR_KNOWN) {
		n->belief = FL_NEIGHBOUR_CONFIRMING;
		n->probed = false;
		n->due_ms = 0;
	}
	if (nud & NUD_INCOMPLETE) { /* being asked for, by us or by the stack */
		if (n->belief != FL_NEIGHBOUR_LOST) {
			n->probed = true;
			n->due_ms = now_ms + FL_NEIGHBOUR_PATIENCE_MS;
		}
		return 0;
	}
	if ((nud & NUD_FAILED) && n->probed)
		return give_up(n, now_ms);
	/* Lost, and its entry was cleared away: the backoff goes on. */
	if (n->belief == FL_NEIGHBOUR_LOST) {
		bool waited = n->probed && now_ms - n->probed_ms >= FL_NEIGHBOUR_PATIENCE_MS;

		return waited ? give_up(n, now_ms) : 0;
	}
	if (n->belief == FL_NEIGHBOUR_UNKNOWN && !n->probed)
		return probe(n, now_ms);
	/* Flushed. Not asked for at once: `ip neigh flush` would never see an end. */
	if (n->probed || !n->due_ms)
		n->due_ms = now_ms + FL_NEIGHBOUR_FLUSH_MS;
	n->probed = false;
	return 0;
}

unsigned fl_neighbour_tick(struct fl_neighbour *n, uint64_t now_ms)
{
	if (!n->due_ms || now_ms < n->due_ms)
		return 0;
	switch (n->belief) {
	case FL_NEIGHBOUR_KNOWN: /* stale */
		n->probed_ms = now_ms;
		n->due_ms = 0;
		return FL_NEIGHBOUR_PROBE;
	default:
		if (!n->probed)
			return probe(n, now_ms);
		n->due_ms = now_ms + FL_NEIGHBOUR_PATIENCE_MS;
		return FL_NEIGHBOUR_LOOK;
	}
}
