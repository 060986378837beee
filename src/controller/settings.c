/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/settings.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "controller/respond.h"

#define AT(member) offsetof(struct settings, member)
#define AT_GROUP(member) offsetof(struct group_settings, member)

static const struct config_key group_keys[] = {
	{"name", CONFIG_STRING, AT_GROUP(name), NULL, .help = "Name of the group."},
	{"node", CONFIG_STRING, AT_GROUP(node), "",
	 .help = "Shell pattern of node names; empty: any."},
	{"project", CONFIG_STRING, AT_GROUP(project), "",
	 .help = "Shell pattern of the cloud's project names; empty: any."},
	{"vm", CONFIG_STRING, AT_GROUP(vm), "",
	 .help = "Shell pattern of VM or instance names; empty: any."},
};

static const struct config_table group_table = {"groups", sizeof(struct group_settings), group_keys,
						sizeof(group_keys) / sizeof(group_keys[0])};

static const struct config_key keys[] = {
	{"bus.address", CONFIG_STRING, AT(bus_address), "0.0.0.0",
	 .help = "Where nodes connect to: an IP address of this machine, 0.0.0.0 for all."},
	{"bus.port", CONFIG_INTEGER, AT(bus_port), "7443", 0, 65535,
	 .help = "Its port; 0: any free one."},
	{"tls.ca", CONFIG_STRING, AT(tls_ca), "/etc/atom/pki/ca.crt",
	 .help = "Certificate of the authority that both ends trust (PEM)."},
	{"tls.certificate", CONFIG_STRING, AT(tls_certificate), "/etc/atom/pki/controller.crt",
	 .help = "The controller's certificate, from atom enroll init (PEM)."},
	{"tls.key", CONFIG_STRING, AT(tls_key), "/etc/atom/pki/controller.key",
	 .help = "The key of tls.certificate (PEM)."},
	{"http.address", CONFIG_STRING, AT(http_address), "127.0.0.1",
	 .help = "Where the HTTP API listens. Beyond loopback it should have a certificate."},
	{"http.port", CONFIG_INTEGER, AT(http_port), "7480", 0, 65535,
	 .help = "Its port; 0: any free one."},
	{"http.certificate", CONFIG_STRING, AT(http_certificate), "",
	 .help = "Certificate of the API with its chain (PEM); with http.key it speaks HTTPS."},
	{"http.key", CONFIG_STRING, AT(http_key), "", .help = "The key of http.certificate (PEM)."},
	{"http.tokens", CONFIG_STRING, AT(tokens_path), "/etc/atom/tokens.yaml",
	 .help = "Who may use the API, in which role: the file that atom token writes. Read anew "
		 "when it has changed."},
	{"http.anonymous", CONFIG_CHOICE, AT(anonymous), "auto",
	 .choices = "auto|none|viewer|operator|admin",
	 .help = "What a request without a token may do. auto: a viewer's part on a loopback "
		 "address, else nothing."},
	{"http.external_url", CONFIG_STRING, AT(external_url), "",
	 .help = "How people reach this atomd, for the links in notifications; empty: none."},
	{"store.path", CONFIG_STRING, AT(store_path), "/var/lib/atom/atom.db",
	 .help = "The SQLite file of history, alarms and state."},
	{"store.retention", CONFIG_DURATION, AT(retention_usec), "14d", 60, 3.2e8,
	 .help = "What ended longer ago is deleted."},
	{"track.interval", CONFIG_DURATION, AT(interval_usec), "10s", 0.1, 300,
	 .help = "How often the nodes observe."},
	{"track.metrics", CONFIG_STRINGS, AT(metrics), "", .choices = METRIC_NAMES,
	 .help = "Metrics beside the seven of the paper, which are always on."},
	{"track.delta", CONFIG_NUMBERS, AT(deltas), "", 0, 1e300, .choices = METRIC_NAMES,
	 .help = "Maximum tracking error per metric, in its unit per interval; for "
		 "CPUUtilization and CPUWait that is percent of the VM's capacity. It stays "
		 "whatever track.mu says."},
	{"track.delta_of_mean", CONFIG_NUMBERS, AT(deltas_of_mean), "", 0, 1000,
	 .choices = METRIC_NAMES,
	 .help = "The same in percent of the series' mean over the window, followed slowly."},
	{"track.mu", CONFIG_NUMBER, AT(mu), "0", 0, 0.5,
	 .help = "By how much tracking errors may change the false alarm rate: the maximum errors "
		 "of all other metrics come from it. 0: they are fixed."},
	{"track.budget", CONFIG_CHOICE, AT(budget), "direct", .choices = "direct|paper",
	 .help = "How track.mu gives errors: by the rate itself, or by the paper's bound on the "
		 "eigenvalues, which permits about half as much."},
	{"track.power_loss_max", CONFIG_NUMBER, AT(power_loss_max), "0", 0, 1000,
	 .help = "At most by this share may the errors that come from track.mu raise the residual "
		 "energy that an anomaly must stand out from. 0: no bound."},
	{"track.delta_floor", CONFIG_NUMBERS, AT(delta_floors), "", 0, 1e300,
	 .choices = METRIC_NAMES,
	 .help = "No error from track.mu or of the mean is smaller. Default: the metric's "
		 "resolution."},
	{"track.delta_cap", CONFIG_NUMBERS, AT(delta_caps), "", 0, 1e300, .choices = METRIC_NAMES,
	 .help = "... or larger. Default: none, but never more than one standard deviation."},
	{"track.tune_rows", CONFIG_INTEGER, AT(tune_rows), "60", 1, 100000, .unit = "rows",
	 .help = "Least time between two rises of an error that comes from track.mu or the mean."},
	{"detect.window_rows", CONFIG_INTEGER, AT(window_rows), "720", 2, 100000, .unit = "rows",
	 .help = "Rows of the sliding window M."},
	{"detect.min_rows", CONFIG_INTEGER, AT(min_rows), "0", 0, 100000, .unit = "rows",
	 .help = "Rows in M before any row is scored; a verdict needs 30 scored rows more, but for "
		 "the preset paper. 0: a quarter of the window, at least 30."},
	{"detect.alpha", CONFIG_NUMBER, AT(alpha), "0.002", 1e-9, 0.49,
	 .help = "False alarm rate per row that the threshold aims at."},
	{"detect.preset", CONFIG_CHOICE, AT(preset), "calibrated", .choices = "calibrated|paper",
	 .help = "How rows are judged: by limits calibrated on the rows that came, with a "
		 "reference "
		 "of 32 windows beside M, or as the paper prints it. docs/detection.md."},
	{"detect.cpv", CONFIG_NUMBER, AT(cpv), "0", 0, 0.9999,
	 .help = "Share of the variance that the principal components must exceed. 0: by the "
		 "preset, 0.95 or the paper's 0.9."},
	{"detect.b1", CONFIG_NUMBER, AT(b1), "2", 0, 1e9,
	 .help = "A column is suspected when its residual energy grew by this factor (rd)."},
	{"detect.b2", CONFIG_NUMBER, AT(b2), "3", 0, 1e9,
	 .help = "... and named when it is off by this many standard deviations (stddev)."},
	{"detect.onset_rows", CONFIG_INTEGER, AT(onset_rows), "0", 0, 1000, .unit = "rows",
	 .help = "Consecutive abnormal rows that open an alarm. 0: by the preset, 2 or 1."},
	{"detect.clear_rows", CONFIG_INTEGER, AT(clear_rows), "0", 0, 1000, .unit = "rows",
	 .help = "Consecutive normal rows that close it. 0: by the preset, 3 or 1."},
	{"detect.unlock_rows", CONFIG_INTEGER, AT(unlock_rows), "0", 0, 100000, .unit = "rows",
	 .help = "After so many abnormal rows a lasting shift is suspected, and M moves on. 0: by "
		 "the preset, a 60th of the window but at least 12, or never."},
	{"groups", CONFIG_RECORDS, AT(groups), "", .record = &group_table,
	 .help = "Which VMs form one matrix; the first that fits takes a VM. Default: one per "
		 "node."},
	{"alarm.reopen", CONFIG_DURATION, AT(reopen_usec), "2min", 0, 86400,
	 .help = "An alarm that comes back within this time after its end, naming the same, goes "
		 "on as the old one. 0: never."},
	{"respond", CONFIG_RECORDS, AT(respond), "", .record = &respond_table,
	 .help = "Rules for what is done without asking, each announced first. Default: none."},
	{"notify", CONFIG_RECORDS, AT(notify), "", .record = &settings_notify_table,
	 .help = "Who is told about alarms, and how (docs/notifications.md)."},
	{"introspect.enabled", CONFIG_BOOLEAN, AT(introspect), "true",
	 .help = "Look into the VMs that an alarm names, as far as their nodes allow it."},
	{"introspect.playbooks", CONFIG_STRING, AT(playbooks_path), "",
	 .help = "YAML file of what is looked at for which metrics; empty: the built-in ones."},
	{"introspect.sample", CONFIG_DURATION, AT(sample_usec), "1s", 0.05, 60,
	 .help = "Time between the two samples of a look, from which rates are made."},
	{"log.level", CONFIG_CHOICE, AT(log_level), "info", .choices = "error|warning|info|debug",
	 .help = "What is logged to stderr."},
};

/* NULL: not given. */
static const double *find_number(const struct config_numbers *numbers, enum metric metric)
{
	for (size_t i = 0; i < numbers->count; i++)
		if (strcmp(numbers->items[i].name, metric_info(metric)->name) == 0)
			return &numbers->items[i].value;
	return NULL;
}

static double number_or(const struct config_numbers *numbers, enum metric metric, double fallback)
{
	const double *number = find_number(numbers, metric);

	return number ? *number : fallback;
}

static struct delta_limits limits_of(const struct settings *settings, enum metric metric)
{
	double cap = number_or(&settings->delta_caps, metric, INFINITY);
	double least = fmin(metric_info(metric)->resolution, cap);

	return (struct delta_limits){number_or(&settings->delta_floors, metric, least), cap};
}

void settings_delta_rules(const struct settings *settings, struct delta_rule *ret_rules)
{
	for (size_t i = 0; i < METRIC_COUNT; i++) {
		enum metric metric = (enum metric)i;
		const double *fixed = find_number(&settings->deltas, metric);
		const double *of_mean = find_number(&settings->deltas_of_mean, metric);
		struct delta_rule *rule = &ret_rules[i];

		*rule = (struct delta_rule){.fixed = fixed ? *fixed
							   : metric_info(metric)->default_delta,
					    .limits = limits_of(settings, metric)};
		if (of_mean) {
			rule->source = DELTA_OF_MEAN;
			rule->share = *of_mean / 100;
		} else if (!fixed && settings->mu > 0) {
			rule->source = DELTA_OF_MU;
		}
	}
}

static int check_deltas(const struct settings *settings, struct error *err)
{
	for (size_t i = 0; i < METRIC_COUNT; i++) {
		enum metric metric = (enum metric)i;
		struct delta_limits limits = limits_of(settings, metric);

		if (find_number(&settings->deltas, metric) &&
		    find_number(&settings->deltas_of_mean, metric))
			return error_set(err, -EINVAL,
					 "%s is in track.delta and in track.delta_of_mean",
					 metric_info(metric)->name);
		if (limits.floor > limits.cap)
			return error_set(err, -EINVAL,
					 "track.delta_floor of %s is above its track.delta_cap",
					 metric_info(metric)->name);
	}
	return 0;
}

static int check(const void *userdata, struct error *err)
{
	const struct settings *settings = userdata;

	if (*settings->external_url && !settings_is_url(settings->external_url))
		return error_set(err, -EINVAL,
				 "http.external_url must begin with http:// or https://");
	if (check_deltas(settings, err) < 0)
		return -EINVAL;
	return settings_notify_check(&settings->notify, err);
}

const struct config_table settings_table = {"atomd.yaml", sizeof(struct settings), keys,
					    sizeof(keys) / sizeof(keys[0]), check};

int settings_observation(const struct settings *settings, struct wire_settings *ret_observation,
			 struct error *err)
{
	struct wire_settings observation = {.interval_usec = settings->interval_usec,
					    .metrics = METRIC_SET_PAPER};
	struct delta_rule rules[METRIC_COUNT];

	settings_delta_rules(settings, rules);
	for (size_t i = 0; i < METRIC_COUNT; i++)
		observation.deltas[i] = rules[i].fixed;
	for (size_t i = 0; i < settings->metrics.count; i++) {
		enum metric metric;

		if (metric_parse(settings->metrics.items[i], &metric) == 0)
			observation.metrics |= 1u << metric;
	}
	if (settings->min_rows > settings->window_rows)
		return error_set(err, -EINVAL, "detect.min_rows is more than detect.window_rows");
	*ret_observation = observation;
	return 0;
}

static size_t given(int64_t rows, size_t preset)
{
	return rows > 0 ? (size_t)rows : preset;
}

void settings_monitor(const struct settings *settings, struct monitor_options *ret_options)
{
	monitor_options_preset(ret_options, (enum monitor_preset)settings->preset);
	monitor_options_scale(ret_options, (size_t)settings->window_rows);
	ret_options->alpha = settings->alpha;
	ret_options->b1 = settings->b1;
	ret_options->b2 = settings->b2;
	if (settings->cpv > 0)
		ret_options->cpv = settings->cpv;
	ret_options->min_rows = given(settings->min_rows, ret_options->min_rows);
	ret_options->onset_rows = given(settings->onset_rows, ret_options->onset_rows);
	ret_options->clear_rows = given(settings->clear_rows, ret_options->clear_rows);
	ret_options->unlock_rows = given(settings->unlock_rows, ret_options->unlock_rows);
}
