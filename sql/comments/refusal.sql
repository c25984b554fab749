-- Comments on the type of a refusal. psql prints them with \d+.

comment on column bloud.refusal.sqlstate is 'Error code, for example BL004. Null if the action is allowed.';
comment on column bloud.refusal.message is 'Reason for the refusal in one sentence.';
comment on column bloud.refusal.detail is 'Further facts about the refusal, or null.';
comment on column bloud.refusal.hint is 'Advice for the operator.';
