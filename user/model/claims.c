/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/claims.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A failed insert leaves the entry out of the table, and says so in the entry. */
#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->lost = true)
#include <uthash.h>

struct fl_claim {
	struct fl_frontend_key key;         /* of a frontend */
	const struct fl_service *service;   /* who holds it; NULL = nobody */
	const struct fl_frontend *frontend; /* the holder's */
	bool disputed;                      /* somebody who was left out wanted it */
	bool lost;                          /* could not be entered */
	UT_hash_handle hh;
};

static struct fl_frontend_key key_of(const struct fl_frontend *frontend)
{
	return (struct fl_frontend_key){
		.addr = frontend->addr,
		.port = frontend->port, /* host order will do: it is compared only here */
		.proto = frontend->proto,
	};
}

/* ---------------------------------------------------------- one name or frontend */

static struct fl_claim *find_name(const struct fl_claims *claims, const char *name)
{
	struct fl_claim *claim;

	HASH_FIND(hh, claims->names, name, strlen(name), claim);
	return claim;
}

static struct fl_claim *find_frontend(
	const struct fl_claims *claims, const struct fl_frontend *frontend)
{
	struct fl_frontend_key key = key_of(frontend);
	struct fl_claim *claim;

	HASH_FIND(hh, claims->frontends, &key, sizeof(key), claim);
	return claim;
}

/* Free what could not be entered. @return the claim, NULL when out of memory */
static struct fl_claim *entered(struct fl_claim *claim)
{
	if (!claim->lost)
		return claim;
	free(claim);
	return NULL;
}

static struct fl_claim *have_name(struct fl_claims *claims, const struct fl_service *service)
{
	struct fl_claim *claim = find_name(claims, service->name);

	if (claim)
		return claim;
	claim = calloc(1, sizeof(*claim));
	if (!claim)
		return NULL;
	HASH_ADD_KEYPTR(hh, claims->names, service->name, strlen(service->name), claim);
	return entered(claim);
}

static struct fl_claim *have_frontend(struct fl_claims *claims, const struct fl_frontend *frontend)
{
	struct fl_claim *claim = find_frontend(claims, frontend);

	if (claim)
		return claim;
	claim = calloc(1, sizeof(*claim));
	if (!claim)
		return NULL;
	claim->key = key_of(frontend);
	HASH_ADD(hh, claims->frontends, key, sizeof(claim->key), claim);
	return entered(claim);
}

static void drop_all(struct fl_claim **table)
{
	struct fl_claim *claim;
	struct fl_claim *next;

	HASH_ITER(hh, *table, claim, next) {
		HASH_DEL(*table, claim);
		free(claim);
	}
}

/* -------------------------------------------------------------- all of a service */

void fl_claims_done(struct fl_claims *claims)
{
	drop_all(&claims->names);
	drop_all(&claims->frontends);
}

const struct fl_service *fl_claims_holder(const struct fl_claims *claims, const char *name)
{
	const struct fl_claim *claim = find_name(claims, name);

	return claim ? claim->service : NULL;
}

const struct fl_service *fl_claims_frontend_holder(const struct fl_claims *claims,
	const struct fl_frontend *frontend, const struct fl_frontend **ret_frontend)
{
	const struct fl_claim *claim = find_frontend(claims, frontend);

	if (!claim || !claim->service)
		return NULL;
	*ret_frontend = claim->frontend;
	return claim->service;
}

int fl_claims_take(struct fl_claims *claims, const struct fl_service *service)
{
	struct fl_claim *claim = have_name(claims, service);

	if (!claim)
		return -ENOMEM;
	claim->service = service;
	for (size_t i = 0; i < service->frontend_count; i++) {
		claim = have_frontend(claims, &service->frontends[i]);
		if (!claim)
			return -ENOMEM;
		claim->service = service;
		claim->frontend = &service->frontends[i];
	}
	return 0;
}

int fl_claims_dispute(struct fl_claims *claims, const struct fl_service *service)
{
	struct fl_claim *claim = have_name(claims, service);

	if (!claim)
		return -ENOMEM;
	claim->disputed = true;
	for (size_t i = 0; i < service->frontend_count; i++) {
		claim = have_frontend(claims, &service->frontends[i]);
		if (!claim)
			return -ENOMEM;
		claim->disputed = true;
	}
	return 0;
}

bool fl_claims_are_free(const struct fl_claims *claims, const struct fl_service *service)
{
	if (find_name(claims, service->name))
		return false;
	for (size_t i = 0; i < service->frontend_count; i++)
		if (find_frontend(claims, &service->frontends[i]))
			return false;
	return true;
}

static bool is_sole(const struct fl_claim *claim, const struct fl_service *service)
{
	return claim && claim->service == service && !claim->disputed;
}

bool fl_claims_are_sole(const struct fl_claims *claims, const struct fl_service *service)
{
	if (!is_sole(find_name(claims, service->name), service))
		return false;
	for (size_t i = 0; i < service->frontend_count; i++)
		if (!is_sole(find_frontend(claims, &service->frontends[i]), service))
			return false;
	return true;
}

static void drop(struct fl_claim **table, struct fl_claim *claim)
{
	HASH_DEL(*table, claim);
	free(claim);
}

void fl_claims_release(struct fl_claims *claims, const struct fl_service *service)
{
	struct fl_claim *claim = find_name(claims, service->name);

	if (is_sole(claim, service))
		drop(&claims->names, claim);
	for (size_t i = 0; i < service->frontend_count; i++) {
		claim = find_frontend(claims, &service->frontends[i]);
		if (is_sole(claim, service))
			drop(&claims->frontends, claim);
	}
}
