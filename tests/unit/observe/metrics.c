/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "lib/served.h"
#include "observe/family.h"
#include "observe/metrics.h"

static struct test_view *t;
static struct fl_text text;

static void setup(void)
{
	t = test_view_new();
}

static void teardown(void)
{
	test_view_free(t);
	fl_text_done(&text);
}

TestSuite(observe_metrics, .init = setup, .fini = teardown);

/* All of it, as a string. */
static const char *write_all(enum fl_metrics_format format)
{
	text.length = 0;
	fl_metrics_write_agent(&t->view, format, &text);
	fl_metrics_write_traffic(&t->view, format, &text);
	fl_text_putc(&text, '\0');
	cr_assert_not(text.failed);
	return text.data;
}

static bool has_line(const char *all, const char *line)
{
	size_t length = strlen(line);

	for (const char *at = all; (at = strstr(at, line)); at++)
		if ((at == all || at[-1] == '\n') && at[length] == '\n')
			return true;
	return false;
}

/* What `promtool check metrics` has to say. @return its exit status */
static int promtool(const char *all, char *words, size_t size)
{
	char file[] = "/tmp/fl-metrics-XXXXXX";
	char command[128];
	int fd = mkstemp(file);
	FILE *said;
	size_t got;

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, all, strlen(all)), (ssize_t)strlen(all));
	close(fd);
	snprintf(command, sizeof(command), "promtool check metrics < %s 2>&1", file);
	said = popen(command, "r");
	cr_assert_not_null(said);
	got = fread(words, 1, size - 1, said);
	words[got] = '\0';
	unlink(file);
	return WEXITSTATUS(pclose(said));
}

Test(observe_metrics, promtool_likes_them)
{
	char words[4096];

	if (system("command -v promtool >/dev/null") != 0)
		cr_skip_test("promtool (package prometheus) is not installed");
	cr_expect_eq(
		promtool(write_all(FL_METRICS_PROMETHEUS), words, sizeof(words)), 0, "%s", words);
	cr_expect_str_empty(words);
	cr_expect_neq(promtool("fairlead_x_total{a=b} 1\n", words, sizeof(words)), 0,
		"promtool likes everything");
}

Test(observe_metrics, what_is_held_back)
{
	test_view_hold(t);
	cr_expect(has_line(
		write_all(FL_METRICS_PROMETHEUS), "fairlead_registry_held{registry=\"files\"} 15"));
}

Test(observe_metrics, nasty_words_stay_in_their_labels)
{
	char words[4096];

	t->registry_config.name = "a\"b\\c\nd\xff\xc3\xbc";
	cr_expect(has_line(write_all(FL_METRICS_PROMETHEUS),
		"fairlead_registry_up{registry=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\xc3\xbc\"} 1"));
	if (system("command -v promtool >/dev/null") == 0)
		cr_expect_eq(promtool(text.data, words, sizeof(words)), 0, "%s", words);
}

Test(observe_metrics, samples)
{
	static const char *const lines[] = {
		"fairlead_build_info{version=\"" FL_VERSION "\",node=\"edge-1\"} 1",
		"fairlead_ready 1",
		"fairlead_generation 7",
		"fairlead_services 2",
		"fairlead_endpoints 6",
		"fairlead_registry_up{registry=\"files\"} 1",
		"fairlead_registry_updates_total{registry=\"files\"} 3",
		"fairlead_registry_held{registry=\"files\"} 0",
		"fairlead_apply_seconds_bucket{le=\"0.0001\"} 1",
		"fairlead_apply_seconds_bucket{le=\"0.00025\"} 1",
		"fairlead_apply_seconds_bucket{le=\"0.0005\"} 3",
		"fairlead_apply_seconds_bucket{le=\"1.0\"} 3",
		"fairlead_apply_seconds_bucket{le=\"+Inf\"} 3",
		"fairlead_apply_seconds_sum 0.0125",
		"fairlead_apply_seconds_count 3",
		"fairlead_map_writes_total{map=\"slots\"} 502",
		"fairlead_endpoint_up{service=\"team/web\",endpoint=\"192.0.2.1:8080\"} 1",
		"fairlead_endpoint_up{service=\"team/web\",endpoint=\"192.0.2.3:8080\"} 0",
		"fairlead_endpoint_weight{service=\"team/web\",endpoint=\"192.0.2.1:8080\"} 2",
		"fairlead_endpoint_weight{service=\"team/web\",endpoint=\"[2001:db8::1]:8080\"} 1",
		"fairlead_flow_table_entries{table=\"nat\"} 4",
		"fairlead_slots{service=\"team/web\",state=\"settled\"} 248",
		"fairlead_slots{service=\"team/web\",state=\"moving\"} 2",
		"fairlead_slots{service=\"team/web\",state=\"held\"} 1",
		"fairlead_pins_refused_total 12",
		"fairlead_slots_postponed_total 3",
		"fairlead_pin_pressure 0",
	};
	const char *all = write_all(FL_METRICS_PROMETHEUS);

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		cr_expect(has_line(all, lines[i]), "%s", lines[i]);
	cr_expect_not(strstr(all, "# EOF"));
	cr_expect(strstr(all, "\nprocess_cpu_seconds_total "));
	cr_expect(strstr(all, "\nprocess_resident_memory_bytes "));
	cr_expect(strstr(all, "\nprocess_open_fds "));
	cr_expect(strstr(all, "\nprocess_start_time_seconds "));
}

Test(observe_metrics, pressure)
{
	t->maps.pressure->failed = fl_clock_boot_s();
	cr_expect(has_line(write_all(FL_METRICS_PROMETHEUS), "fairlead_pin_pressure 1"));
}

/* A family stands in one piece, its samples carry its name, and it is told once. */
static void check_families(const char *all)
{
	char *copy = strdup(all), *rest = copy;
	char family[128] = "", seen[16384] = " ";
	bool counter = false;

	for (char *line; (line = strsep(&rest, "\n")) && *line;) {
		char name[128], type[32];

		if (sscanf(line, "# TYPE %127s %31s", name, type) == 2) {
			char key[160];

			snprintf(key, sizeof(key), " %s ", name);
			cr_expect_not(strstr(seen, key), "%s twice", name);
			cr_assert_lt(strlen(seen) + strlen(key), sizeof(seen));
			strcat(seen, key);
			strcpy(family, name);
			counter = strcmp(type, "counter") == 0;
			cr_expect_not(counter && strlen(name) > 6 &&
					      !strcmp(name + strlen(name) - 6, "_total"),
				"%s: OpenMetrics names no family so", name);
		} else if (line[0] != '#') {
			size_t length = strlen(family);

			cr_expect_eq(
				strncmp(line, family, length), 0, "%s within %s", line, family);
			cr_expect(!counter || strncmp(line + length, "_total", 6) == 0, "%s", line);
		}
	}
	free(copy);
}

Test(observe_metrics, openmetrics)
{
	const char *all = write_all(FL_METRICS_OPENMETRICS);

	check_families(all);
	cr_expect_str_eq(all + strlen(all) - 6, "# EOF\n");
	cr_expect(has_line(all, "# TYPE fairlead_build info"));
	cr_expect(has_line(all, "# TYPE fairlead_registry_updates counter"));
	cr_expect(has_line(all, "# UNIT process_cpu_seconds seconds"));
	cr_expect(has_line(all, "# TYPE fairlead_apply_seconds histogram"));
}

/* Histograms are looked up in the kernel: see tests/e2e/test_node_watch.py. */
Test(observe_metrics, connections_of_this_node)
{
	static const char *const lines[] = {
		"fairlead_node_connects_total{service=\"team/web\",endpoint=\"192.0.2.1:8080\"} 12",
		"fairlead_node_established_total{service=\"team/web\",endpoint=\"192.0.2.1:8080\"} "
		"7",
		"fairlead_node_faults_total{service=\"team/"
		"web\",endpoint=\"192.0.2.1:8080\",fault=\"given_up\"} 1",
		"fairlead_node_faults_total{service=\"team/"
		"web\",endpoint=\"192.0.2.1:8080\",fault=\"unreachable\"} 4",
		"fairlead_node_resets_total{service=\"team/web\",endpoint=\"192.0.2.1:8080\"} 2",
		"fairlead_node_retransmits_total{service=\"team/web\",endpoint=\"192.0.2.1:8080\"} "
		"9",
		"fairlead_node_ejected{service=\"team/web\",endpoint=\"192.0.2.1:8080\"} 1",
		"fairlead_node_ejections_total{service=\"team/web\",endpoint=\"192.0.2.1:8080\"} 5",
		"fairlead_node_smoothed_connect_seconds{service=\"team/"
		"web\",endpoint=\"192.0.2.1:8080\"} 0.0015",
	};
	struct fl_live_row live[16] = { 0 };
	struct fl_node_path path = { .maps = FL_NODE_MAPS_NONE };
	const char *all;

	live[fl_snapshot_find(t->view.applied, "team/web")->endpoints[0].id] = (struct fl_live_row){
		.connects = 12,
		.established = 7,
		.faults = { 1, 0, 0, 4 },
		.resets = 2,
		.retransmits = 9,
		.ejected = 1,
		.ejected_times = 5,
		.connect_us = 1500,
	};
	cr_expect_not(strstr(write_all(FL_METRICS_PROMETHEUS), "fairlead_node_"));
	path.maps.live = live;
	path.maps.shape[FL_NODE_MAP_live].max_entries = 16;
	t->view.node_path = &path;
	check_families(write_all(FL_METRICS_OPENMETRICS));
	all = write_all(FL_METRICS_PROMETHEUS);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		cr_expect(has_line(all, lines[i]), "%s", lines[i]);
	cr_expect_not(strstr(all, "fairlead_node_smoothed_rtt_seconds{"), "no value is known");
}

Test(observe_metrics, before_the_first_snapshot)
{
	const char *all;
	struct fl_config config = t->config;
	const struct fl_snapshot *applied = t->view.applied;

	t->view = (struct fl_view){ .config = &config, .not_ready = "not yet" };
	all = write_all(FL_METRICS_OPENMETRICS);
	cr_expect(has_line(all, "fairlead_ready 0"));
	cr_expect(has_line(all, "fairlead_services 0"));
	cr_expect_str_eq(all + strlen(all) - 6, "# EOF\n");
	t->view.applied = applied;
}
