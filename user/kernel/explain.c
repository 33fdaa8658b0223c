/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/explain.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "model/reasons.h"
#include "model/service.h"

/* ----------------------------------------------------------------- question */

static int parse_end(const char *text, const char *what, struct fl_ip *ret, uint16_t *ret_port,
	struct fl_failure *failure)
{
	if (fl_socket_parse(text, true, ret, ret_port) == 0 && *ret_port != 0)
		return 0;
	return fl_fail(failure, -EINVAL, "\"%s\" is no %s, expected ADDRESS:PORT or [ADDRESS]:PORT",
		text, what);
}

static int parse_proto(const char *text, uint8_t *ret, struct fl_failure *failure)
{
	if (strcmp(text, "tcp") == 0)
		*ret = IPPROTO_TCP;
	else if (strcmp(text, "udp") == 0)
		*ret = IPPROTO_UDP;
	else
		return fl_fail(
			failure, -EINVAL, "\"%s\" is no protocol, expected tcp or udp", text);
	return 0;
}

int fl_question_parse(const char *proto, const char *source, const char *destination,
	struct fl_question *ret, struct fl_failure *failure)
{
	struct fl_question question = { .opens = true };
	int r = parse_proto(proto, &question.proto, failure);

	if (r < 0)
		return r;
	r = parse_end(source, "source", &question.source, &question.source_port, failure);
	if (r == 0)
		r = parse_end(destination, "frontend", &question.destination,
			&question.destination_port, failure);
	if (r < 0)
		return r;
	if (fl_ip_family(&question.source) != fl_ip_family(&question.destination))
		return fl_fail(
			failure, -EINVAL, "source and frontend are of different address families");
	*ret = question;
	return 0;
}

/* "node", "node@192.0.2.7". */
static int parse_bound(const char *text, struct fl_question *question, struct fl_failure *failure)
{
	if (strcmp(text, "node") == 0)
		return 0;
	if (fl_ip_parse(text + strlen("node@"), &question->source) < 0)
		return fl_fail(failure, -EINVAL,
			"\"%s\" is no address, expected node or node@ADDRESS",
			text + strlen("node@"));
	question->is_bound = true;
	return 0;
}

bool fl_question_is_of_node(const char *source)
{
	return strcmp(source, "node") == 0 || strncmp(source, "node@", 5) == 0;
}

int fl_question_parse_node(const char *proto, const char *source, const char *destination,
	struct fl_question *ret, struct fl_failure *failure)
{
	struct fl_question question = { .opens = true };
	int r = parse_proto(proto, &question.proto, failure);

	if (r == 0)
		r = parse_bound(source, &question, failure);
	if (r == 0)
		r = parse_end(destination, "frontend", &question.destination,
			&question.destination_port, failure);
	if (r < 0)
		return r;
	if (question.is_bound &&
		fl_ip_family(&question.source) != fl_ip_family(&question.destination))
		return fl_fail(
			failure, -EINVAL, "source and frontend are of different address families");
	*ret = question;
	return 0;
}

static uint16_t ip_checksum(const void *header, size_t length)
{
	const uint16_t *word = header;
	uint32_t sum = 0;

	for (size_t i = 0; i < length / 2; i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~(sum + (sum >> 16));
}

/* @return bytes written: the transport header alone */
static size_t put_transport(const struct fl_question *question, uint8_t *at)
{
	if (question->proto == IPPROTO_TCP) {
		struct tcphdr tcp = {
			.source = htons(question->source_port),
			.dest = htons(question->destination_port),
			.doff = 5,
			.syn = question->opens,
			.ack = !question->opens,
			.window = htons(65535),
		};

		memcpy(at, &tcp, sizeof(tcp));
		return sizeof(tcp);
	}
	struct udphdr udp = {
		.source = htons(question->source_port),
		.dest = htons(question->destination_port),
		.len = htons(sizeof(udp)),
	};

	memcpy(at, &udp, sizeof(udp));
	return sizeof(udp);
}

static void put_ipv4(const struct fl_question *question, uint8_t *at)
{
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.ttl = 64,
		.protocol = question->proto,
		.saddr = question->source.word[3],
		.daddr = question->destination.word[3],
	};

	ip.tot_len = htons((uint16_t)(sizeof(ip) + put_transport(question, at + sizeof(ip))));
	ip.check = ip_checksum(&ip, sizeof(ip));
	memcpy(at, &ip, sizeof(ip));
}

static void put_ipv6(const struct fl_question *question, uint8_t *at)
{
	struct ip6_hdr ip = { .ip6_flow = htonl(6u << 28) };

	ip.ip6_nxt = question->proto;
	ip.ip6_hlim = 64;
	ip.ip6_plen = htons((uint16_t)put_transport(question, at + sizeof(ip)));
	memcpy(&ip.ip6_src, &question->source, 16);
	memcpy(&ip.ip6_dst, &question->destination, 16);
	memcpy(at, &ip, sizeof(ip));
}

void fl_question_build(const struct fl_question *question, uint8_t *frame)
{
	struct ether_header eth = { .ether_dhost = { 2 }, .ether_shost = { 2, 1 } };
	bool is_ipv4 = fl_ip_family(&question->destination) == FL_IPV4;

	memset(frame, 0, FL_QUESTION_FRAME);
	eth.ether_type = htons(is_ipv4 ? ETHERTYPE_IP : ETHERTYPE_IPV6);
	memcpy(frame, &eth, sizeof(eth));
	if (is_ipv4)
		put_ipv4(question, frame + sizeof(eth));
	else
		put_ipv6(question, frame + sizeof(eth));
}

/* -------------------------------------------------------------------- asking */

static int open_program(const char *bpffs, int *ret_fd, struct fl_failure *failure)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/explain", bpffs);
	*ret_fd = bpf_obj_get(path);
	if (*ret_fd >= 0)
		return 0;
	if (errno == ENOENT) {
		fl_fail(failure, -ENOENT, "no program is pinned at %s", path);
		fl_fail_hint(failure,
			"start fairleadd, or name its directory with --bpffs or FAIRLEAD_BPFFS");
		return -ENOENT;
	}
	return fl_fail(failure, -errno, "cannot open %s: %s", path, strerror(errno));
}

int fl_explain(const char *bpffs, const struct fl_question *question, struct fl_explanation *ret,
	struct fl_failure *failure)
{
	_cleanup_close_ int fd = -1;
	uint8_t frame[FL_QUESTION_FRAME], answer[FL_QUESTION_FRAME + 256];
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame),
		.data_out = answer, .data_size_out = sizeof(answer), .repeat = 1);
	int r = open_program(bpffs, &fd, failure);

	if (r < 0)
		return r;
	fl_question_build(question, frame);
	r = bpf_prog_test_run_opts(fd, &run);
	if (r < 0)
		return fl_fail(failure, r, "the kernel does not run the program: %s", strerror(-r));
	memcpy(ret, answer, sizeof(*ret));
	if (run.data_size_out < sizeof(*ret) || ret->magic != FL_EXPLANATION_MAGIC)
		return fl_fail(
			failure, -EPROTO, "the pinned program gave no answer of this version");
	return 0;
}

/* ------------------------------------------------------------------- telling */

static json_t *service_name(const struct fl_maps *maps, uint32_t id)
{
	if (id == 0 || id > maps->limits.services)
		return json_null();
	return json_stringn(maps->names[id].name, strnlen(maps->names[id].name, FL_NAME_MAX));
}

/* The frontend that matched: the exact one, or that of every port. */
static json_t *frontend_text(const struct fl_maps *maps, const struct fl_question *question,
	const struct fl_explanation *answer)
{
	struct fl_frontend_key key = {
		.addr = question->destination,
		.port = htons(question->destination_port),
		.proto = question->proto,
	};
	struct fl_frontend frontend = {
		.addr = question->destination,
		.port = question->destination_port,
		.proto = question->proto,
	};
	struct fl_frontend_row row;
	char text[FL_SOCKET_TEXT];

	if (answer->service == 0)
		return json_null();
	if (bpf_map_lookup_elem(maps->fd[FL_MAP_frontends], &key, &row) < 0 ||
		row.frontend != answer->frontend)
		frontend.port = 0;
	return json_string(fl_frontend_format(&frontend, text));
}

static json_t *endpoint_text(const struct fl_maps *maps, const struct fl_question *question,
	const struct fl_explanation *answer)
{
	const struct fl_endpoint_row *row;
	char text[FL_SOCKET_TEXT];

	if (answer->endpoint == 0 || answer->endpoint > maps->limits.endpoints)
		return json_null();
	row = &maps->endpoints[answer->endpoint];
	return json_string(fl_socket_format(
		&row->addr, row->port ? ntohs(row->port) : question->destination_port, text));
}

/* JSON's null for what there is none of. */
static json_t *or_null(bool is_there, json_t *value)
{
	if (is_there)
		return value;
	json_decref(value);
	return json_null();
}

json_t *fl_explanation_json(const struct fl_maps *maps, const struct fl_question *question,
	const struct fl_explanation *answer)
{
	bool known = answer->reason < FL_REASON_COUNT;
	bool has_service = answer->service != 0, has_endpoint = answer->endpoint != 0;
	bool has_slot = has_service && answer->slot != FL_NO_SLOT;

	return json_pack("{s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:s, s:o, s:s, s:s}", "service",
		service_name(maps, answer->service), "frontend",
		frontend_text(maps, question, answer), "slot",
		or_null(has_slot, json_integer(answer->slot)), "moving",
		or_null(has_slot, json_boolean(answer->moving)), "pinned", answer->pinned,
		"endpoint", endpoint_text(maps, question, answer), "state",
		or_null(has_endpoint, json_string(fl_state_name((enum fl_state)answer->state))),
		"reason", known ? fl_reason_name(answer->reason) : "unknown", "forward",
		or_null(has_service,
			json_string(fl_forward_name((enum fl_forward)answer->forward))),
		"path", "edge", "text", known ? fl_reason_text(answer->reason) : "");
}
