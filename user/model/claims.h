/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>

#include "model/service.h"

/**
 * @file claims.h
 * Who holds which name and which frontend among merged services, and which of these
 * somebody else wanted. Part of the merger.
 *
 * Services are borrowed: they must live until they are released, or all is.
 */
struct fl_claim;

/** Begins zeroed. */
struct fl_claims {
	struct fl_claim *names;     /**< hash */
	struct fl_claim *frontends; /**< hash, by address, port and protocol */
};

void fl_claims_done(struct fl_claims *claims);

/** The service that holds a name; NULL = nobody. */
const struct fl_service *fl_claims_holder(const struct fl_claims *claims, const char *name);
/** The service that holds a frontend; NULL = nobody.
 * @param ret_frontend  set to the holder's own */
const struct fl_service *fl_claims_frontend_holder(const struct fl_claims *claims,
	const struct fl_frontend *frontend, const struct fl_frontend **ret_frontend);

/** It holds its name and its frontends, of which none is held. @return 0, -ENOMEM */
int fl_claims_take(struct fl_claims *claims, const struct fl_service *service);
/** It was left out: whatever happens to one of these may let it in. It must live as
 * long as the claims. @return 0, -ENOMEM */
int fl_claims_dispute(struct fl_claims *claims, const struct fl_service *service);

/** Whether nobody holds any of these, or wanted it. */
bool fl_claims_are_free(const struct fl_claims *claims, const struct fl_service *service);
/** Whether the service holds all of these, and nobody else wanted one. */
bool fl_claims_are_sole(const struct fl_claims *claims, const struct fl_service *service);
/** Let go of what it holds alone. */
void fl_claims_release(struct fl_claims *claims, const struct fl_service *service);
