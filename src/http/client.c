/* SPDX-License-Identifier: Apache-2.0 */
#include "http/client.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

enum { CONNECT_TIMEOUT_SEC = 5, TIMEOUT_SEC = 60 };

struct answer {
	char *data;
	size_t size;
};

DEFINE_CLEANUP(CURL *, curl_easy_cleanup)
DEFINE_CLEANUP(struct curl_slist *, curl_slist_free_all)

static size_t take(const char *data, size_t one, size_t size, void *userdata)
{
	struct answer *answer = userdata;
	char *grown;

	if (answer->size + size > HTTP_CLIENT_ANSWER_SIZE_MAX)
		return 0;
	grown = realloc(answer->data, answer->size + size + 1);
	if (!grown)
		return 0;
	answer->data = grown;
	memcpy(grown + answer->size, data, size);
	answer->size += size;
	grown[answer->size] = '\0';
	return size;
}

static int code_of(CURLcode code)
{
	switch ((int)code) {
	case CURLE_COULDNT_CONNECT:
		return -ECONNREFUSED;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_SSL_CACERT_BADFILE:
		return -EINVAL;
	default:
		return -EIO;
	}
}

static bool is_given(const char *text)
{
	return text && *text;
}

static int add_header(struct curl_slist **headers, const char *header)
{
	struct curl_slist *grown = curl_slist_append(*headers, header);

	if (!grown)
		return -ENOMEM;
	*headers = grown;
	return 0;
}

/* A token with a line end (of the file it was read from, say) would be a header of its own. */
static int add_token(struct curl_slist **headers, const char *token, struct error *err)
{
	cleanup(free) char *header = NULL;

	for (const char *c = token; *c; c++)
		if (*c <= ' ' || *c > '~')
			return error_set(err, -EINVAL,
					 "the token has a character that no token has: it must be "
					 "one word, without a line end");
	if (asprintf(&header, "Authorization: Bearer %s", token) < 0) {
		header = NULL;
		return error_set(err, -ENOMEM, "out of memory");
	}
	return add_header(headers, header) < 0 ? error_set(err, -ENOMEM, "out of memory") : 0;
}

static int fill_headers(struct curl_slist **headers, bool post,
			const struct http_client_options *options, struct error *err)
{
	if (post && (add_header(headers, "Content-Type: application/json") < 0 ||
		     add_header(headers, "Expect:") < 0)) /* a body is small: it need not ask */
		return error_set(err, -ENOMEM, "out of memory");
	return options && is_given(options->token) ? add_token(headers, options->token, err) : 0;
}

static void set_common(CURL *curl, const char *url, struct answer *answer)
{
	(void)curl_easy_setopt(curl, CURLOPT_URL, url);
	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	(void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_SEC);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)TIMEOUT_SEC);
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "localhost,127.0.0.1,::1");
	(void)curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
}

/* Only the given authorities count: not those of the system beside them. */
static void set_authorities(CURL *curl, const struct http_client_options *options)
{
	if (!options || !is_given(options->ca_file))
		return;
	(void)curl_easy_setopt(curl, CURLOPT_CAINFO, options->ca_file);
	(void)curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
}

static void set_post(CURL *curl, const char *text)
{
	(void)curl_easy_setopt(curl, CURLOPT_POST, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, text);
	(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(text));
}

/* `text`: the body of a POST, NULL for a GET. */
static int transfer(const char *url, const struct http_client_options *options, const char *text,
		    struct answer *answer, long *ret_status, struct error *err)
{
	cleanup(curl_easy_cleanup) CURL *curl = curl_easy_init();
	cleanup(curl_slist_free_all) struct curl_slist *headers = NULL;
	char problem[CURL_ERROR_SIZE] = "";
	CURLcode code;
	int r;

	if (!curl)
		return error_set(err, -ENOMEM, "out of memory");
	r = fill_headers(&headers, text != NULL, options, err);
	if (r < 0)
		return r;
	set_common(curl, url, answer);
	set_authorities(curl, options);
	if (text)
		set_post(curl, text);
	(void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	(void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, problem);
	code = curl_easy_perform(curl);
	if (code != CURLE_OK)
		return error_set(err, code_of(code), "%s",
				 problem[0] ? problem : curl_easy_strerror(code));
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
	return 0;
}

static int code_of_status(long status)
{
	switch (status) {
	case 400:
		return -EINVAL;
	case 401:
		return -EACCES;
	case 403:
		return -EPERM;
	case 404:
		return -ENOENT;
	case 409:
		return -EALREADY;
	default:
		return -EIO;
	}
}

static int refused(long status, const json_t *body, struct error *err)
{
	const char *text = json_string_value(json_object_get(body, "error"));
	int code = code_of_status(status);

	if (text)
		return error_set(err, code, "%s", text);
	if (status >= 300 && status < 400)
		return error_set(err, code,
				 "the server sends elsewhere (status %ld), which is not followed",
				 status);
	return error_set(err, code, "the server answered with status %ld", status);
}

static int exchange(const char *url, const struct http_client_options *options, const char *text,
		    json_t **ret_body, struct error *err)
{
	struct answer answer = {0};
	json_error_t problem;
	json_t *body;
	long status = 0;
	int r = transfer(url, options, text, &answer, &status, err);

	if (r < 0) {
		free(answer.data);
		return r;
	}
	body = answer.data ? json_loadb(answer.data, answer.size, 0, &problem) : NULL;
	free(answer.data);
	if (status < 200 || status > 299) {
		r = refused(status, body, err);
		json_decref(body);
		return r;
	}
	if (!body)
		return error_set(err, -EPROTO, "the answer of %s is no JSON: is this atomd?", url);
	if (ret_body)
		*ret_body = body;
	else
		json_decref(body);
	return 0;
}

int http_client_request(const char *method, const char *url,
			const struct http_client_options *options, const json_t *body,
			json_t **ret_body, struct error *err)
{
	cleanup(free) char *text = NULL;

	if (strcmp(method, "POST") != 0) {
		assert(strcmp(method, "GET") == 0 && !body);
		return exchange(url, options, NULL, ret_body, err);
	}
	text = body ? json_dumps(body, JSON_COMPACT) : strdup("");
	if (!text)
		return error_set(err, -ENOMEM, "out of memory");
	return exchange(url, options, text, ret_body, err);
}

char *http_client_escape(const char *text)
{
	char *escaped = curl_easy_escape(NULL, text, 0);
	char *copy = escaped ? strdup(escaped) : NULL;

	curl_free(escaped);
	return copy;
}
