-- The demo's source database: lists, who may see them, and what is on them.
CREATE TABLE IF NOT EXISTS lists (
  id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
  name text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS members (
  id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
  list_id text NOT NULL REFERENCES lists (id) ON DELETE CASCADE,
  user_id text NOT NULL,
  UNIQUE (list_id, user_id)
);
CREATE TABLE IF NOT EXISTS todos (
  id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
  list_id text NOT NULL REFERENCES lists (id) ON DELETE CASCADE,
  description text NOT NULL,
  completed boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now()
);
DO $$ BEGIN
  -- Only once: what somebody removed stays removed.
  IF NOT EXISTS (SELECT FROM lists) THEN
    INSERT INTO lists (id, name) VALUES ('groceries', 'Groceries');
    INSERT INTO members (id, list_id, user_id) VALUES ('m-alice', 'groceries', 'alice'), ('m-bob', 'groceries', 'bob');
    INSERT INTO todos (id, list_id, description) VALUES ('t-apples', 'groceries', 'Apples'), ('t-bread', 'groceries', 'Bread');
  END IF;
  IF NOT EXISTS (SELECT FROM pg_publication WHERE pubname = 'powersync') THEN
    CREATE PUBLICATION powersync FOR TABLE lists, members, todos;
  END IF;
END $$;
