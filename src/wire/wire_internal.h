#pragma once
/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that encode and decode messages share. */
#include "atom.pb-c.h"
#include "wire/wire.h"

/* Printable UTF-8 of at most WIRE_NAME_MAX bytes. */
int wire_check_text(const char *text, const char *what, int code, struct error *err);
int wire_pack(const Atom__Envelope *envelope, uint8_t **ret_data, size_t *ret_size,
	      struct error *err);
/* Takes the text out of a decoded message; owned, NULL when memory is out. */
char *wire_take_text(char **text);

int wire_check_delta(double delta, int code, struct error *err);

/* wire_deltas.c */
int wire_check_changes(const struct wire_delta *items, size_t count, int code, struct error *err);
int wire_check_deltas(const struct wire_deltas *deltas, int code, struct error *err);
int wire_encode_deltas(const struct wire_deltas *deltas, uint8_t **ret_data, size_t *ret_size,
		       struct error *err);
int wire_decode_deltas(const Atom__Deltas *in, struct wire_deltas *deltas, struct error *err);
int wire_encode_frame(const struct wire_frame *frame, uint8_t **ret_data, size_t *ret_size,
		      struct error *err);
int wire_decode_frame(Atom__Frame *in, struct wire_frame *frame, struct error *err);

/* wire_act.c */
int wire_check_act(const struct wire_act *act, int code, struct error *err);
int wire_encode_act(const struct wire_act *act, uint8_t **ret_data, size_t *ret_size,
		    struct error *err);
int wire_decode_act(Atom__Act *in, struct wire_act *act, struct error *err);
int wire_check_outcome(const struct wire_outcome *outcome, int code, struct error *err);
int wire_encode_outcome(const struct wire_outcome *outcome, uint8_t **ret_data, size_t *ret_size,
			struct error *err);
int wire_decode_outcome(Atom__Outcome *in, struct wire_outcome *outcome);

/* wire_introspect.c */
int wire_check_introspect(const struct wire_introspect *introspect, int code, struct error *err);
int wire_encode_introspect(const struct wire_introspect *introspect, uint8_t **ret_data,
			   size_t *ret_size, struct error *err);
int wire_decode_introspect(Atom__Introspect *in, struct wire_introspect *introspect,
			   struct error *err);
int wire_check_findings(const struct wire_findings *findings, int code, struct error *err);
int wire_encode_findings(const struct wire_findings *findings, uint8_t **ret_data, size_t *ret_size,
			 struct error *err);
int wire_decode_findings(Atom__Findings *in, struct wire_findings *findings, struct error *err);
