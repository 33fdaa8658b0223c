/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "agent/passive.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/state.h"
#include "core/log.h"
#include "health/silence.h"
#include "kernel/reader.h"

/* Each is a system call or two; with more, all have their turn every few seconds. */
#define ENDPOINTS_AT_ONCE 4096

/* What is known of one endpoint. A port of TCP that nobody answers at is not made up for by one
 * of UDP that works, so that each is judged by itself; what fails by either is left out. */
struct watched {
	uint32_t service; /* whose it was when this was learnt */
	struct fl_silence tcp, udp;
	struct fl_silence_row refused; /* of UDP */
};

struct fl_passive {
	struct watched *endpoints; /* by number */
	uint32_t limit;
	size_t next; /* service of the snapshot whose turn it is */
};

struct fl_passive *fl_passive_new(uint32_t endpoints)
{
	struct fl_passive *passive = calloc(1, sizeof(*passive));

	if (!passive)
		return NULL;
	passive->limit = endpoints;
	passive->endpoints = calloc(endpoints + 1ull, sizeof(*passive->endpoints));
	if (!passive->endpoints) {
		fl_passive_free(passive);
		return NULL;
	}
	return passive;
}

void fl_passive_free(struct fl_passive *passive)
{
	if (!passive)
		return;
	free(passive->endpoints);
	free(passive);
}

/* -------------------------------------------------------------------- counts */

/* Tunnels see no answers; a client that had one sends more than openings. What the node
 * path opened is among the new flows, but sent no packets here. */
static int read_tunnel(const struct fl_agent *agent, uint32_t id, struct fl_silence_counts *ret)
{
	const struct fl_live_row *live = agent->node_path.maps.live;
	struct fl_endpoint_stats stats;
	uint64_t openings;
	int r = fl_read_endpoint(&agent->kernel->maps, id, &stats);

	if (r < 0)
		return r;
	openings = stats.new_flows;
	if (live)
		openings -= __atomic_load_n(&live[id].connects, __ATOMIC_RELAXED);
	*ret = (struct fl_silence_counts){
		.openings = (uint32_t)openings,
		.answered = (uint32_t)(stats.packets - openings),
	};
	return 0;
}

static int read_counts(const struct fl_agent *agent, const struct fl_service *service, uint32_t id,
	struct watched *watched, struct fl_silence_counts *ret_tcp)
{
	struct fl_answers answers = { 0 };
	int r;

	if (service->forward != FL_NAT)
		return read_tunnel(agent, id, ret_tcp);
	r = fl_read_answers(&agent->kernel->maps, id, &answers);
	if (r < 0)
		return r;
	*ret_tcp =
		(struct fl_silence_counts){ answers.openings, answers.answered, answers.refused };
	fl_silence_count_row(&watched->refused, answers.udp_refused);
	return 0;
}

/* --------------------------------------------------------------------- verdict */

static bool has_proto(const struct fl_service *service, uint8_t proto)
{
	for (size_t i = 0; i < service->frontend_count; i++)
		if (service->frontends[i].proto == proto)
			return true;
	return false;
}

/* A tunnel cannot tell packets of UDP, which shows no openings, from those of TCP. */
static bool is_tcp_watched(const struct fl_service *service)
{
	return has_proto(service, IPPROTO_TCP) &&
	       (service->forward == FL_NAT || !has_proto(service, IPPROTO_UDP));
}

static bool is_udp_watched(const struct fl_service *service)
{
	return has_proto(service, IPPROTO_UDP) && service->forward == FL_NAT;
}

static bool is_out(const struct watched *watched)
{
	return fl_silence_is_out(&watched->tcp) || fl_silence_is_out(&watched->udp);
}

/* Counted once for a service, and kept while its endpoints are looked at. */
static struct fl_silence_share count_share(
	const struct fl_passive *passive, const struct fl_service *service)
{
	struct fl_silence_share share = { .endpoints = (uint32_t)service->endpoint_count };

	for (size_t i = 0; i < service->endpoint_count; i++) {
		uint32_t id = service->endpoints[i].id;

		share.out += id && id <= passive->limit && is_out(&passive->endpoints[id]);
		share.takers += fl_endpoint_takes_flows(&service->endpoints[i]);
	}
	return share;
}

static void say(const struct fl_service *service, const struct fl_endpoint *endpoint,
	const char *detail, unsigned times)
{
	char text[FL_SOCKET_TEXT];

	fl_socket_format(&endpoint->addr, endpoint->port, text);
	if (detail)
		fl_log(FL_LOG_WARNING, "health", "endpoint left out, nothing answers there",
			FL_STR("service", service->name), FL_STR("endpoint", text),
			FL_STR("detail", detail), FL_UINT("times", times));
	else
		fl_log(FL_LOG_INFO, "health", "endpoint tried again",
			FL_STR("service", service->name), FL_STR("endpoint", text));
}

static void signal_change(struct fl_agent *agent, const struct fl_service *service,
	const struct fl_endpoint *endpoint, const struct watched *watched)
{
	const struct fl_health_key key = { service->name, endpoint->addr, endpoint->port };
	bool out = is_out(watched), tcp = fl_silence_is_out(&watched->tcp);
	const struct fl_silence *silence = tcp ? &watched->tcp : &watched->udp;
	char detail[96];

	snprintf(detail, sizeof(detail), "%u %s %s, none answered", silence->fails,
		tcp ? "openings" : "flows of UDP", silence->refuses ? "refused" : "unanswered");
	if (fl_health_set_ejected(agent->health, &key, out, out ? detail : NULL) < 0)
		return; /* no memory for the signal: it stays as it is */
	say(service, endpoint, out ? detail : NULL, silence->times);
}

/* Feed what there is to be fed; what is not watched any more is forgotten. */
static void feed(struct watched *watched, const struct fl_service *service,
	const struct fl_silence_counts *tcp, bool spare, uint32_t now_s)
{
	const struct fl_silence_rules rules = { service->max_fails, service->fail_timeout_s };

	if (is_tcp_watched(service))
		fl_silence_feed(&watched->tcp, &rules, tcp, spare, now_s);
	else
		watched->tcp = (struct fl_silence){ 0 };
	if (is_udp_watched(service))
		fl_silence_feed(&watched->udp, &rules, &watched->refused.counts, spare, now_s);
	else
		watched->udp = (struct fl_silence){ 0 };
}

static void look_at(struct fl_passive *passive, struct fl_agent *agent,
	const struct fl_service *service, const struct fl_endpoint *endpoint,
	struct fl_silence_share *share, uint32_t now_s)
{
	struct fl_silence_counts tcp;
	struct watched *watched;
	bool was_out;

	if (!endpoint->id || endpoint->id > passive->limit)
		return;
	watched = &passive->endpoints[endpoint->id];
	if (watched->service != service->id) { /* the number was another's */
		share->out -= is_out(watched);
		*watched = (struct watched){ .service = service->id };
	}
	if (read_counts(agent, service, endpoint->id, watched, &tcp) < 0)
		return;
	was_out = is_out(watched);
	feed(watched, service, &tcp, fl_silence_must_spare(share, service->max_ejected_percent),
		now_s);
	if (is_out(watched) == was_out)
		return;
	share->out += was_out ? -1 : 1;
	signal_change(agent, service, endpoint, watched);
}

void fl_passive_tick(struct fl_passive *passive, struct fl_agent *agent, uint32_t now_s)
{
	const struct fl_snapshot *applied = agent->applied;
	size_t looked = 0;

	if (!applied || !agent->links)
		return;
	for (size_t n = 0; n < applied->service_count && looked < ENDPOINTS_AT_ONCE; n++) {
		const struct fl_service *service =
			applied->services[passive->next++ % applied->service_count];
		struct fl_silence_share share;

		if (!is_tcp_watched(service) && !is_udp_watched(service))
			continue;
		share = count_share(passive, service);
		for (size_t i = 0; i < service->endpoint_count; i++)
			look_at(passive, agent, service, &service->endpoints[i], &share, now_s);
		looked += service->endpoint_count;
	}
}
