CREATE TABLE jobs (
  id text PRIMARY KEY,
  body text NOT NULL,
  times integer NOT NULL DEFAULT 1,
  release text NOT NULL
);
