-- Added to a table that may be in use: a constant default rewrites nothing.
ALTER TABLE jobs ADD COLUMN done_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX jobs_done_at ON jobs (done_at);
