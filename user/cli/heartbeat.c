/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdio.h>

#include "cli/commands.h"
#include "control/client.h"
#include "core/cleanup.h"

/* SERVICE ADDRESS [pass|warn|fail] [NOTE] */
FL_COMMAND(heartbeat)
{
	_cleanup_free_ char *service = fl_client_encode(arguments[0]);
	_cleanup_free_ char *endpoint = fl_client_encode(arguments[1]);
	_cleanup_free_ char *status = fl_client_encode(arguments[2] ? arguments[2] : "pass");
	_cleanup_free_ char *note =
		fl_client_encode(arguments[2] && arguments[3] ? arguments[3] : "");
	_cleanup_free_ char *path = NULL;

	if (!service || !endpoint || !status || !note ||
		asprintf(&path, "/api/v1/heartbeats?service=%s&endpoint=%s&status=%s&note=%s",
			service, endpoint, status, note) < 0) {
		path = NULL;
		return fl_fail(failure, -ENOMEM, "out of memory");
	}
	return fl_client_post(cli->socket, path, NULL, failure, ret);
}
