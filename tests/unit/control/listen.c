/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/listen.h"

static char directory[32];
static char path[128];
static struct fl_failure failure;

static void setup(void)
{
	strcpy(directory, "/tmp/fl-listen-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/run/fairlead/fairleadd.sock", directory);
}

static void teardown(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", directory);
	cr_expect_eq(system(command), 0);
}

TestSuite(control_listen, .init = setup, .fini = teardown);

static mode_t mode_of(const char *file)
{
	struct stat st;

	return lstat(file, &st) == 0 ? st.st_mode : 0;
}

static int try_listen(const char *group, struct fl_unix_socket *ret)
{
	*ret = (struct fl_unix_socket){ .fd = -1 };
	return fl_unix_socket_listen(path, 0660, group, &failure, ret);
}

static bool is_answered(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	bool ok;

	strcpy(address.sun_path, path);
	ok = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	close(fd);
	return ok;
}

Test(control_listen, directories_are_made_and_the_file_goes_again)
{
	struct fl_unix_socket made;

	cr_assert_eq(try_listen(NULL, &made), 0, "%s", failure.message);
	cr_expect_eq(mode_of(path), S_IFSOCK | 0660, "%o", mode_of(path));
	cr_expect(is_answered());
	fl_unix_socket_close(&made);
	cr_expect_eq(mode_of(path), 0, "it is still there");
	fl_unix_socket_close(&made);
}

Test(control_listen, a_group_that_does_not_exist_leaves_root_alone)
{
	struct fl_unix_socket made;

	cr_assert_eq(try_listen("no-such-group-here", &made), 0, "%s", failure.message);
	cr_expect(made.group_missing);
	cr_expect_eq(mode_of(path), S_IFSOCK | 0600, "%o", mode_of(path));
	fl_unix_socket_close(&made);
}

Test(control_listen, the_group_may_open_it)
{
	struct group *own = getgrgid(getegid());
	struct fl_unix_socket made;
	struct stat st;

	if (!own)
		cr_skip_test("this process's group has no name");
	cr_assert_eq(try_listen(own->gr_name, &made), 0, "%s", failure.message);
	cr_expect_not(made.group_missing);
	cr_assert_eq(lstat(path, &st), 0);
	cr_expect_eq(st.st_gid, getegid());
	cr_expect_eq(st.st_mode & 0777, 0660);
	fl_unix_socket_close(&made);
}

Test(control_listen, what_a_dead_agent_left_is_replaced)
{
	struct fl_unix_socket dead, made;

	cr_assert_eq(try_listen(NULL, &dead), 0);
	close(dead.fd); /* the file stays, as after a kill */
	cr_assert_eq(try_listen(NULL, &made), 0, "%s", failure.message);
	cr_expect(is_answered());
	fl_unix_socket_close(&made);
	free(dead.path);
}

Test(control_listen, a_file_that_took_our_place_stays)
{
	struct fl_unix_socket first, second;

	cr_assert_eq(try_listen(NULL, &first), 0);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(try_listen(NULL, &second), 0, "%s", failure.message);
	fl_unix_socket_close(&first);
	cr_expect(is_answered(), "the first one's close removed the second's file");
	fl_unix_socket_close(&second);
	cr_expect_eq(mode_of(path), 0);
}

Test(control_listen, a_socket_that_answers_is_left_alone)
{
	struct fl_unix_socket first, second;

	cr_assert_eq(try_listen(NULL, &first), 0);
	cr_expect_eq(try_listen(NULL, &second), -EADDRINUSE);
	cr_expect(strstr(failure.message, path), "%s", failure.message);
	cr_expect(*failure.hint);
	cr_expect(is_answered());
	fl_unix_socket_close(&first);
}

Test(control_listen, a_file_in_the_way_is_left_alone)
{
	struct fl_unix_socket made;
	int fd;

	cr_assert_eq(try_listen(NULL, &made), 0);
	fl_unix_socket_close(&made);
	fd = open(path, O_CREAT | O_WRONLY, 0644);
	cr_assert_geq(fd, 0);
	close(fd);
	cr_expect_eq(try_listen(NULL, &made), -EEXIST);
	cr_expect(strstr(failure.message, "no socket"), "%s", failure.message);
	cr_expect_eq(mode_of(path), S_IFREG | 0644);
}

Test(control_listen, a_path_that_is_too_long)
{
	struct fl_unix_socket made;

	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	cr_expect_eq(try_listen(NULL, &made), -ENAMETOOLONG);
	cr_expect(strstr(failure.hint, "control.socket"), "%s", failure.hint);
}
