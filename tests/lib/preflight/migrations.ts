/**
 * Migrations, and whether the color that keeps running on the same database survives them: written before the rules
 * that are held against it. `unknown` is what nobody can tell from the text: a person has to say so.
 */
export interface Case {
  name: string
  sql: string
  verdict: 'passed' | 'failed' | 'unknown'
  /** What the message names. */
  says?: RegExp
}

export const migrations: Case[] = [
  // What an old version does not notice.
  { name: 'a new table', sql: 'CREATE TABLE a (id bigint PRIMARY KEY, b text NOT NULL);', verdict: 'passed' },
  { name: 'a new column that may be null', sql: 'ALTER TABLE a ADD COLUMN b text;', verdict: 'passed' },
  {
    name: 'a new column with a constant default',
    sql: "ALTER TABLE a ADD COLUMN b text NOT NULL DEFAULT 'x';",
    verdict: 'passed',
  },
  { name: 'an index beside the writers', sql: 'CREATE INDEX CONCURRENTLY i ON a (b);', verdict: 'passed' },
  {
    name: 'an index of a table that is new',
    sql: 'CREATE TABLE a (b int); CREATE INDEX i ON a (b);',
    verdict: 'passed',
  },
  {
    name: 'a check that old rows need not meet yet, of a new column',
    sql: 'ALTER TABLE a ADD COLUMN b int; ALTER TABLE a ADD CONSTRAINT c CHECK (b > 0) NOT VALID;',
    verdict: 'passed',
  },
  { name: 'a constraint made valid', sql: 'ALTER TABLE a VALIDATE CONSTRAINT c;', verdict: 'passed' },
  {
    name: 'a column that may be null again',
    sql: 'ALTER TABLE a ALTER COLUMN b DROP NOT NULL;',
    verdict: 'failed',
    says: /null/i,
  },
  { name: 'a default for new rows', sql: 'ALTER TABLE a ALTER COLUMN b SET DEFAULT 5;', verdict: 'passed' },
  { name: 'a new type', sql: "CREATE TYPE mood AS ENUM ('ok');", verdict: 'passed' },
  {
    name: 'a new value of a type',
    sql: "ALTER TYPE mood ADD VALUE 'sad' AFTER 'ok';",
    verdict: 'unknown',
    says: /value/,
  },
  { name: 'a new view', sql: 'CREATE VIEW v AS SELECT id FROM a;', verdict: 'passed' },
  { name: 'rows that are added', sql: "INSERT INTO a (b) VALUES ('x');", verdict: 'passed' },
  { name: 'a new sequence', sql: 'CREATE SEQUENCE s;', verdict: 'passed' },
  { name: 'a new extension', sql: 'CREATE EXTENSION IF NOT EXISTS pgcrypto;', verdict: 'passed' },
  { name: 'a right that is given', sql: 'GRANT SELECT ON a TO reader;', verdict: 'passed' },
  { name: 'a comment', sql: "COMMENT ON TABLE a IS 'x';", verdict: 'passed' },
  {
    name: 'its own settings',
    sql: "SET lock_timeout = '2s'; BEGIN; COMMIT;",
    verdict: 'unknown',
    says: /nothing/,
  },
  {
    name: 'a wider varchar',
    sql: 'ALTER TABLE a ALTER COLUMN b TYPE varchar(200);',
    verdict: 'failed',
    says: /type/,
  },
  {
    name: 'some rows that are changed',
    sql: 'UPDATE a SET b = 1 WHERE b IS NULL;',
    verdict: 'unknown',
    says: /rows/,
  },
  // What takes something away.
  { name: 'a column dropped', sql: 'ALTER TABLE a DROP COLUMN b;', verdict: 'failed', says: /column b/ },
  { name: 'a table dropped', sql: 'DROP TABLE a;', verdict: 'failed', says: /table a/ },
  { name: 'a view dropped', sql: 'DROP VIEW v;', verdict: 'failed', says: /view v/ },
  { name: 'a schema dropped', sql: 'DROP SCHEMA s CASCADE;', verdict: 'failed', says: /schema s/ },
  { name: 'a function dropped', sql: 'DROP FUNCTION f(int);', verdict: 'failed', says: /function f/ },
  { name: 'a type dropped', sql: 'DROP TYPE mood;', verdict: 'failed', says: /type mood/ },
  {
    name: 'an index dropped while writers wait',
    sql: 'DROP INDEX i;',
    verdict: 'failed',
    says: /CONCURRENTLY/,
  },
  { name: 'an index dropped beside the writers', sql: 'DROP INDEX CONCURRENTLY i;', verdict: 'passed' },
  {
    name: 'a constraint dropped',
    sql: 'ALTER TABLE a DROP CONSTRAINT c;',
    verdict: 'unknown',
    says: /constraint c/,
  },
  {
    name: 'a default dropped',
    sql: 'ALTER TABLE a ALTER COLUMN b DROP DEFAULT;',
    verdict: 'failed',
    says: /default/,
  },
  { name: 'all rows gone', sql: 'TRUNCATE a;', verdict: 'failed', says: /TRUNCATE/ },
  { name: 'all rows deleted', sql: 'DELETE FROM a;', verdict: 'failed', says: /every row/ },
  { name: 'some rows deleted', sql: 'DELETE FROM a WHERE b = 1;', verdict: 'unknown', says: /rows/ },
  { name: 'all rows changed', sql: 'UPDATE a SET b = 1;', verdict: 'failed', says: /every row/ },
  { name: 'a right taken away', sql: 'REVOKE SELECT ON a FROM reader;', verdict: 'failed', says: /REVOKE/ },
  {
    name: 'a table made and dropped by the same migration',
    sql: 'CREATE TABLE t (a int); INSERT INTO t VALUES (1); DROP TABLE t;',
    verdict: 'passed',
  },
  // Renames.
  {
    name: 'a column renamed',
    sql: 'ALTER TABLE a RENAME COLUMN b TO c;',
    verdict: 'failed',
    says: /renames/,
  },
  { name: 'a table renamed', sql: 'ALTER TABLE a RENAME TO c;', verdict: 'failed', says: /renames/ },
  { name: 'a type renamed', sql: 'ALTER TYPE mood RENAME TO temper;', verdict: 'failed', says: /renames/ },
  {
    name: 'a value renamed',
    sql: "ALTER TYPE mood RENAME VALUE 'ok' TO 'fine';",
    verdict: 'failed',
    says: /renames/,
  },
  { name: 'a table moved', sql: 'ALTER TABLE a SET SCHEMA other;', verdict: 'failed', says: /schema/ },
  // What an old version's rows do not meet.
  {
    name: 'a column that must be filled',
    sql: 'ALTER TABLE a ADD COLUMN b text NOT NULL;',
    verdict: 'failed',
    says: /default/,
  },
  {
    name: 'a column that must not be null',
    sql: 'ALTER TABLE a ALTER COLUMN b SET NOT NULL;',
    verdict: 'failed',
    says: /NOT NULL/i,
  },
  {
    name: 'a check of what is written',
    sql: 'ALTER TABLE a ADD CONSTRAINT c CHECK (b > 0);',
    verdict: 'failed',
    says: /check/i,
  },
  {
    name: 'a check that binds new rows of an old column',
    sql: 'ALTER TABLE a ADD CONSTRAINT c CHECK (b > 0) NOT VALID;',
    verdict: 'failed',
    says: /check/i,
  },
  {
    name: 'a unique constraint',
    sql: 'ALTER TABLE a ADD CONSTRAINT u UNIQUE (b);',
    verdict: 'failed',
    says: /unique/i,
  },
  {
    name: 'a unique index',
    sql: 'CREATE UNIQUE INDEX CONCURRENTLY u ON a (b);',
    verdict: 'failed',
    says: /unique/i,
  },
  {
    name: 'a foreign key',
    sql: 'ALTER TABLE a ADD CONSTRAINT f FOREIGN KEY (b) REFERENCES c (id);',
    verdict: 'failed',
    says: /foreign key/i,
  },
  { name: 'another type', sql: 'ALTER TABLE a ALTER COLUMN b TYPE bigint;', verdict: 'failed', says: /type/ },
  {
    name: 'a trigger',
    sql: 'CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION f();',
    verdict: 'unknown',
    says: /trigger/i,
  },
  { name: 'row security', sql: 'ALTER TABLE a ENABLE ROW LEVEL SECURITY;', verdict: 'failed', says: /row/i },
  // What makes users wait.
  {
    name: 'an index that locks writers out',
    sql: 'CREATE INDEX i ON a (b);',
    verdict: 'failed',
    says: /CONCURRENTLY/,
  },
  {
    name: 'a column whose default is computed for each row',
    sql: 'ALTER TABLE a ADD COLUMN b timestamptz DEFAULT clock_timestamp();',
    verdict: 'failed',
    says: /rewr|computed|volatile/i,
  },
  {
    name: 'a serial column',
    sql: 'ALTER TABLE a ADD COLUMN n serial;',
    verdict: 'failed',
    says: /serial|rewr/i,
  },
  { name: 'a table locked', sql: 'LOCK TABLE a;', verdict: 'failed', says: /LOCK/ },
  { name: 'a table rewritten', sql: 'VACUUM FULL a;', verdict: 'failed', says: /VACUUM/ },
  // What cannot be judged from the text.
  {
    name: 'a DO block',
    sql: "DO $$ BEGIN EXECUTE 'DROP TABLE a'; END $$;",
    verdict: 'unknown',
    says: /DO block/,
  },
  { name: 'a call', sql: 'CALL tidy();', verdict: 'unknown', says: /CALL/ },
  { name: 'a function called', sql: "SELECT drop_everything('a');", verdict: 'unknown', says: /SELECT/ },
  {
    name: 'a function written anew',
    sql: 'CREATE OR REPLACE FUNCTION f(a int) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;',
    verdict: 'unknown',
    says: /function/,
  },
  {
    name: 'a view written anew',
    sql: 'CREATE OR REPLACE VIEW v AS SELECT 1 AS a;',
    verdict: 'unknown',
    says: /view/,
  },
  {
    name: "MySQL's quotes",
    sql: 'ALTER TABLE `a` ADD COLUMN `b` INT;',
    verdict: 'unknown',
    says: /PostgreSQL/,
  },
  {
    name: "MySQL's words",
    sql: 'ALTER TABLE a MODIFY COLUMN b INT UNSIGNED;',
    verdict: 'unknown',
    says: /PostgreSQL/,
  },
  { name: 'broken', sql: 'ALTER TABEL a ADD b int;', verdict: 'unknown', says: /PostgreSQL/ },
  {
    name: 'no SQL at all',
    sql: "export const up = () => db.drop('a')",
    verdict: 'unknown',
    says: /PostgreSQL/,
  },
  { name: 'empty', sql: '', verdict: 'unknown', says: /nothing/ },
  { name: 'comments alone', sql: '-- later\n/* much later */', verdict: 'unknown', says: /nothing/ },
  // What hides behind something harmless.
  {
    name: 'the second of two',
    sql: 'ALTER TABLE a ADD COLUMN b text, DROP COLUMN c;',
    verdict: 'failed',
    says: /column c/,
  },
  {
    name: 'worse counts more than unknown',
    sql: 'CALL tidy(); DROP TABLE a;',
    verdict: 'failed',
    says: /table a/,
  },
  {
    name: 'a drop behind a comment that tells a linter to look away',
    sql: '-- squawk-ignore ban-drop-column\nALTER TABLE a DROP COLUMN b;',
    verdict: 'failed',
    says: /column b/,
  },
  {
    name: 'a deletion inside a WITH',
    sql: 'WITH gone AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM gone;',
    verdict: 'unknown',
    says: /WITH/,
  },
]
