"""The script of a small database with a trained model, for tests of reports."""

from __future__ import annotations


def mails(rows: int, *, epochs: int, gold: str = "") -> str:
    """Return statements that make a table mails with a task spam and a model filter of it.

    Every second mail is spam by its words and by its one labeling function; column truth says ham of each tenth mail.
    `gold` is the GOLD clause of the task, if it has one.
    """
    return f"""
CREATE TABLE mails AS SELECT i AS id, CASE WHEN i % 2 = 0 THEN 'win money now' ELSE 'meet me at lunch' END AS body,
  CASE WHEN i % 10 = 0 OR i % 2 = 1 THEN 'ham' ELSE 'spam' END AS truth, i % 100 AS part FROM range({rows}) t(i);
CREATE TASK spam ON mails KEY (id) TYPE BINARY ('ham', 'spam') {gold};
CREATE LF money FOR TASK spam AS CASE WHEN body LIKE '%money%' THEN 'spam' ELSE 'ham' END;
CREATE MODEL filter FOR TASK spam FROM mails FEATURES (body) WITH (epochs = {epochs});
"""
