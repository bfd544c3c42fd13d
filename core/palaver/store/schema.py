"""What the entries of the diary do to the file, statement by statement, and why a table is as it is."""

from __future__ import annotations

# The small columns come first: a row is read from the front, and what a list shows must not lie behind a long text.
RECORD_TURNS = (
    """CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL CHECK (kind IN ('chat', 'task', 'eval')),
        title TEXT NOT NULL,
        created REAL NOT NULL
    ) STRICT""",
    """CREATE TABLE turns (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id INTEGER NOT NULL REFERENCES runs (id),
        parent_id INTEGER REFERENCES turns (id) ON DELETE SET NULL,
        created REAL NOT NULL,
        touched REAL NOT NULL,
        status TEXT NOT NULL
            CHECK (status IN ('running', 'complete', 'truncated', 'cancelled', 'failed', 'interrupted')),
        task TEXT NOT NULL COLLATE NOCASE,
        model TEXT NOT NULL COLLATE NOCASE,
        model_ref TEXT NOT NULL COLLATE NOCASE,
        rating INTEGER CHECK (rating BETWEEN 1 AND 5),
        reference_set TEXT NOT NULL DEFAULT '',
        finish_reason TEXT NOT NULL DEFAULT '',
        prompt_tokens INTEGER,
        output_tokens INTEGER,
        first_token_seconds REAL,
        seconds REAL,
        language TEXT NOT NULL,
        backend TEXT NOT NULL,
        plugin TEXT NOT NULL COLLATE NOCASE,
        plugin_version TEXT NOT NULL,
        palaver_version TEXT NOT NULL,
        model_digest TEXT NOT NULL,
        pid INTEGER NOT NULL,
        process_start TEXT NOT NULL,
        boot_id TEXT NOT NULL,
        options TEXT NOT NULL,
        config TEXT NOT NULL,
        error TEXT NOT NULL DEFAULT '',
        note TEXT NOT NULL DEFAULT '',
        output TEXT NOT NULL DEFAULT '',
        input_text TEXT NOT NULL,
        reference_text TEXT NOT NULL DEFAULT '',
        raw TEXT,
        inputs TEXT NOT NULL,
        prompt TEXT NOT NULL
    ) STRICT""",
    # What lists narrow down by, in the order of the list and without the texts: a hundredth of the table's pages.
    "CREATE INDEX turns_in_order ON turns (id, created, status, task, model, rating, reference_set)",
    "CREATE INDEX turns_by_run ON turns (run_id)",
    "CREATE INDEX turns_by_parent ON turns (parent_id) WHERE parent_id IS NOT NULL",
    "CREATE INDEX turns_by_task ON turns (task, id, model, status)",
    "CREATE INDEX turns_by_model ON turns (model, id, task, status)",
    "CREATE INDEX turns_by_time ON turns (created)",
    "CREATE INDEX turns_by_status ON turns (status)",
    "CREATE INDEX turns_by_rating ON turns (rating) WHERE rating IS NOT NULL",
    """CREATE TABLE refs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        turn_id INTEGER NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
        text TEXT NOT NULL,
        origin TEXT NOT NULL CHECK (origin IN ('written', 'imported', 'post-edit', 'model')),
        author TEXT NOT NULL DEFAULT '',
        created REAL NOT NULL,
        superseded_by INTEGER REFERENCES refs (id) ON DELETE SET NULL,
        superseded REAL
    ) STRICT""",
    "CREATE INDEX refs_by_turn ON refs (turn_id)",
    "CREATE INDEX refs_by_successor ON refs (superseded_by) WHERE superseded_by IS NOT NULL",
    """CREATE TABLE scores (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        turn_id INTEGER NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
        reference_set TEXT NOT NULL,
        metric TEXT NOT NULL COLLATE NOCASE,
        value REAL,
        position INTEGER NOT NULL,
        title TEXT NOT NULL,
        signature TEXT NOT NULL,
        n INTEGER NOT NULL,
        stats TEXT NOT NULL,
        corpus_signature TEXT NOT NULL,
        error TEXT NOT NULL,
        output_hash TEXT NOT NULL,
        created REAL NOT NULL
    ) STRICT""",
    # A score is known by what was scored, how, and against what; an error may be followed by a number, once.
    """CREATE UNIQUE INDEX scores_once
        ON scores (turn_id, reference_set, metric, signature, output_hash, error)""",
    """CREATE TABLE tags (
        turn_id INTEGER NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
        tag TEXT NOT NULL COLLATE NOCASE,
        PRIMARY KEY (turn_id, tag)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX tags_by_name ON tags (tag, turn_id)",
)

SEARCH_TEXT = (
    # A turn enters the index when it is finished: to index the question first would be to index it three times.
    """CREATE VIEW searched AS
        SELECT id, input_text, output, reference_text, note FROM turns WHERE status != 'running'""",
    """CREATE VIRTUAL TABLE turns_fts USING fts5(
        input_text, output, reference_text, note, content='searched', content_rowid='id', tokenize='trigram')""",
    """CREATE TRIGGER turns_fts_insert AFTER INSERT ON turns WHEN new.status != 'running' BEGIN
        INSERT INTO turns_fts (rowid, input_text, output, reference_text, note)
        VALUES (new.id, new.input_text, new.output, new.reference_text, new.note);
    END""",
    """CREATE TRIGGER turns_fts_delete AFTER DELETE ON turns WHEN old.status != 'running' BEGIN
        INSERT INTO turns_fts (turns_fts, rowid, input_text, output, reference_text, note)
        VALUES ('delete', old.id, old.input_text, old.output, old.reference_text, old.note);
    END""",
    """CREATE TRIGGER turns_fts_update AFTER UPDATE OF status, input_text, output, reference_text, note ON turns BEGIN
        INSERT INTO turns_fts (turns_fts, rowid, input_text, output, reference_text, note)
        SELECT 'delete', old.id, old.input_text, old.output, old.reference_text, old.note WHERE old.status != 'running';
        INSERT INTO turns_fts (rowid, input_text, output, reference_text, note)
        SELECT new.id, new.input_text, new.output, new.reference_text, new.note WHERE new.status != 'running';
    END""",
    "INSERT INTO turns_fts (turns_fts) VALUES ('rebuild')",
)

EVALUATE = (
    # All that is needed to do the same again, or the rest of it.
    "ALTER TABLE runs ADD COLUMN plan TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE runs ADD COLUMN finished REAL",
    "ALTER TABLE turns ADD COLUMN example_id TEXT",
    "ALTER TABLE turns ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0",
    # Not a foreign key: that an answer was reused stays true when the turn that gave it is deleted.
    "ALTER TABLE turns ADD COLUMN cached_from INTEGER",
    "ALTER TABLE turns ADD COLUMN request_key TEXT NOT NULL DEFAULT ''",
    # Whatever is tried again after whatever crash, an example has one final row.
    "CREATE UNIQUE INDEX turns_once ON turns (run_id, example_id, epoch) WHERE example_id IS NOT NULL",
    "CREATE INDEX turns_by_request ON turns (request_key) WHERE request_key != ''",
    """CREATE TABLE datasets (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE COLLATE NOCASE,
        task TEXT NOT NULL COLLATE NOCASE,
        source TEXT NOT NULL,
        created REAL NOT NULL
    ) STRICT""",
    # The texts are copies: a promoted example stays what it was, whatever becomes of the turn.
    """CREATE TABLE dataset_items (
        dataset_id INTEGER NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
        example_id TEXT NOT NULL,
        turn_id INTEGER,
        model TEXT NOT NULL,
        created REAL NOT NULL,
        inputs TEXT NOT NULL,
        refs TEXT NOT NULL,
        language TEXT NOT NULL,
        PRIMARY KEY (dataset_id, example_id)
    ) STRICT""",
)

VOTE = (
    # A vote over a turn that is deleted says nothing any more; both ends cascade, and what is left has two turns.
    """CREATE TABLE votes (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        winner INTEGER NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
        loser INTEGER NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
        is_tie INTEGER NOT NULL CHECK (is_tie IN (0, 1)),
        is_blind INTEGER NOT NULL CHECK (is_blind IN (0, 1)),
        created REAL NOT NULL
    ) STRICT""",
    "CREATE INDEX votes_by_winner ON votes (winner)",
    "CREATE INDEX votes_by_loser ON votes (loser)",
)

# No phrase reaches over U+E000, a word of its own: `words.BREAK`.
_BREAK = "' ' || char(57344) || ' '"


def _words_of(row: str) -> str:
    texts = f" || {_BREAK} || ".join(f"{row}.{one}" for one in ("input_text", "output", "reference_text", "note"))
    return f"coalesce((SELECT text FROM respelled WHERE turn_id = {row}.id), {texts})"


_FORGET_WORDS = f"""INSERT INTO turns_fts (turns_fts, rowid, words) SELECT 'delete', old.id, {_words_of("old")}
            WHERE old.status != 'running' AND old.id <= (SELECT up_to FROM indexed)
            AND NOT EXISTS (SELECT 1 FROM unindexed WHERE turn_id = old.id);
        DELETE FROM unindexed WHERE turn_id = old.id;
        DELETE FROM respelled WHERE turn_id = old.id;"""

FIND_WORDS = (
    "DROP TRIGGER turns_fts_insert",
    "DROP TRIGGER turns_fts_delete",
    "DROP TRIGGER turns_fts_update",
    "DROP TABLE turns_fts",
    "DROP VIEW searched",
    # In the index are the finished turns up to this number but for the few of the other table. Whoever writes moves the
    # mark before the commit. A trigger per new turn would cost as much as its row: SQLite keeps a journal of each
    # statement that has one, and FTS5 starts a new segment.
    "CREATE TABLE indexed (up_to INTEGER NOT NULL) STRICT",
    "INSERT INTO indexed (up_to) VALUES (0)",
    "CREATE TABLE unindexed (turn_id INTEGER PRIMARY KEY) STRICT",
    # The few turns whose words the tokenizer cannot see: scripts without spaces, decomposed letters.
    "CREATE TABLE respelled (turn_id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT",
    f"""CREATE VIEW searched AS SELECT t.id, {_words_of("t")} AS words FROM turns t
        WHERE t.status != 'running' AND t.id <= (SELECT up_to FROM indexed)
        AND NOT EXISTS (SELECT 1 FROM unindexed u WHERE u.turn_id = t.id)""",
    # No ranking is asked for, so no lengths are kept.
    """CREATE VIRTUAL TABLE turns_fts USING fts5(
        words, content='searched', content_rowid='id', columnsize=0,
        tokenize="unicode61 remove_diacritics 2 categories 'L* M* N* Co'")""",
    "INSERT INTO turns_fts (turns_fts, rank) VALUES ('automerge', 8)",
    f"""CREATE TRIGGER turns_fts_delete AFTER DELETE ON turns WHEN old.status != 'running' BEGIN
        {_FORGET_WORDS}
    END""",
    f"""CREATE TRIGGER turns_fts_update AFTER UPDATE OF status, input_text, output, reference_text, note ON turns BEGIN
        {_FORGET_WORDS}
        INSERT INTO unindexed (turn_id) SELECT new.id WHERE new.status != 'running';
    END""",
)

PACK_SCORES = (
    # What a thousand scores have in common is said once.
    """CREATE TABLE score_kinds (
        id INTEGER PRIMARY KEY,
        metric TEXT NOT NULL COLLATE NOCASE,
        title TEXT NOT NULL,
        position INTEGER NOT NULL,
        signature TEXT NOT NULL,
        corpus_signature TEXT NOT NULL,
        UNIQUE (metric, title, position, signature, corpus_signature)
    ) STRICT""",
    """INSERT INTO score_kinds (metric, title, position, signature, corpus_signature)
        SELECT DISTINCT metric, title, position, signature, corpus_signature FROM scores""",
    # Kept in the order of turns: a page, a filter and a sum read neighbours. `serial` counts the scores of a turn in
    # the order they were made. `standing`: 2 is the newest of its metric against the references of now, 1 an older one
    # against these, 0 is against other references.
    """CREATE TABLE packed_scores (
        turn_id INTEGER NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
        serial INTEGER NOT NULL,
        kind_id INTEGER NOT NULL,
        standing INTEGER NOT NULL,
        value REAL,
        n INTEGER NOT NULL,
        stats TEXT NOT NULL,
        created REAL NOT NULL,
        reference_set TEXT NOT NULL,
        output_hash TEXT NOT NULL,
        error TEXT NOT NULL,
        PRIMARY KEY (turn_id, serial)
    ) STRICT, WITHOUT ROWID""",
    """INSERT INTO packed_scores
        SELECT s.turn_id, row_number() OVER (PARTITION BY s.turn_id ORDER BY s.id) - 1, k.id, 0, s.value, s.n, s.stats,
            s.created, s.reference_set, s.output_hash, s.error
        FROM scores s JOIN score_kinds k ON (k.metric, k.title, k.position, k.signature, k.corpus_signature)
            = (s.metric, s.title, s.position, s.signature, s.corpus_signature)
        ORDER BY s.turn_id, s.id""",
    "DROP TABLE scores",
    "ALTER TABLE packed_scores RENAME TO scores",
    """CREATE VIEW scored AS
        SELECT s.*, k.metric, k.title, k.position, k.signature, k.corpus_signature
        FROM scores s JOIN score_kinds k ON k.id = s.kind_id""",
    # Of 32 turns the lowest and the highest value ever: what lies outside is not there.
    """CREATE TABLE score_ranges (
        metric TEXT NOT NULL COLLATE NOCASE,
        block INTEGER NOT NULL,
        low REAL NOT NULL,
        high REAL NOT NULL,
        PRIMARY KEY (metric, block)
    ) STRICT, WITHOUT ROWID""",
    """INSERT INTO score_ranges SELECT metric, turn_id / 32, min(value), max(value) FROM scored
        WHERE value IS NOT NULL GROUP BY metric, turn_id / 32""",
    """UPDATE scores SET standing = 1 FROM turns t WHERE t.id = turn_id AND t.reference_set = scores.reference_set""",
    """UPDATE scores SET standing = 2 WHERE (turn_id, serial) IN
        (SELECT turn_id, max(serial) FROM scored WHERE standing = 1 GROUP BY turn_id, metric)""",
    """CREATE TRIGGER scores_follow_references AFTER UPDATE OF reference_set ON turns
        WHEN old.reference_set != new.reference_set BEGIN
        UPDATE scores SET standing = (reference_set = new.reference_set) WHERE turn_id = new.id;
        UPDATE scores SET standing = 2 WHERE turn_id = new.id AND serial IN
            (SELECT max(serial) FROM scored WHERE turn_id = new.id AND standing = 1 GROUP BY metric);
    END""",
)
