"""Prompt: the interactive session of ``wsdb sql``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.key_binding.bindings.named_commands import accept_line

from wsdb import __version__
from wsdb.cli.output import JsonOutput, TextOutput
from wsdb.cli.runner import Runner
from wsdb.core.errors import WsdbError
from wsdb.parser.cursor import tokens_of
from wsdb.session.calls import FUNCTIONS

HELP = """\
.help             this list
.tables           the tables and views
.tasks            the tasks
.mode FORMAT      how rows are printed: table, json or csv
.read FILE        run a file
.quit             leave (also Ctrl-D)
A statement ends with a semicolon. Ctrl-C empties the line, or stops the query that is running."""

KEYWORDS = (
    "CREATE OR REPLACE TASK",
    "CREATE OR REPLACE LABELING FUNCTION",
    "CREATE OR REPLACE LABEL MODEL",
    "CREATE OR REPLACE FEATURE SET",
    "CREATE OR REPLACE MODEL",
    "FOR TASK",
    "FOR TASKS",
    "KEY",
    "TYPE BINARY",
    "TYPE MULTICLASS",
    "GOLD",
    "SPLIT BY",
    "CLASS BALANCE",
    "COMMENT",
    "VOTE",
    "WHEN",
    "LANGUAGE python AS",
    "FROM VOTES",
    "FEATURES",
    "LABELS FROM",
    "REFRESH LABELS FOR TASK",
    "REFRESH LABEL MATRIX FOR TASK",
    "REFRESH MODEL",
    "SHOW TASKS",
    "SHOW LFS",
    "SHOW MODELS",
    "SHOW LABEL MODELS",
    "SHOW FEATURE SETS",
    "SHOW VERSIONS OF MODEL",
    "SHOW CREATE",
    "DESCRIBE",
    "EXPLAIN ANALYZE",
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY ALL",
    "ORDER BY",
    "LIMIT",
    "JOIN",
    "USING",
    "DROP",
    "CASCADE",
    "WITH",
)


class Prompt:
    """Reads statements from a terminal until the user leaves."""

    def __init__(self, session: Any, runner: Runner, path: str, **terminal: Any) -> None:
        self._session = session
        self._runner = runner
        self._path = path
        self._commands: dict[str, Callable[[str], None]] = {
            ".help": lambda rest: print(HELP),
            ".tables": lambda rest: self._play("SELECT schema, name, column_names FROM (SHOW ALL TABLES)"),
            ".tasks": lambda rest: self._play("SHOW TASKS"),
            ".mode": self._mode,
            ".read": self._read,
        }
        self._line: PromptSession[str] = PromptSession(
            message="wsdb> ",
            prompt_continuation=lambda width, line, soft: " " * (width - 2) + "> ",
            history=history(),
            completer=Words(session, list(self._commands)),
            complete_while_typing=False,
            multiline=True,
            key_bindings=keys(),
            **terminal,
        )

    def loop(self) -> None:
        """Read and run until ``.quit`` or Ctrl-D."""
        print(f"wsdb {__version__}, {'in memory' if self._path == ':memory:' else self._path}; .help for help")
        while True:
            try:
                text = self._line.prompt().strip()
            except KeyboardInterrupt:
                continue
            except EOFError:
                return
            if text in (".quit", ".exit"):
                return
            if text.startswith("."):
                self._command(text)
            elif text:
                self._play(text)

    def _play(self, text: str, file: str | None = None) -> None:
        self._runner.play(text, file)
        self._runner.output.close()

    def _command(self, text: str) -> None:
        word, _, rest = text.partition(" ")
        command = self._commands.get(word.rstrip(";"))
        if command is None:
            print(f"there is no command {word}; .help lists them")
        else:
            command(rest.strip().rstrip(";").strip())

    def _mode(self, rest: str) -> None:
        if rest not in ("table", "json", "csv"):
            print("the modes are table, json and csv")
        else:
            self._runner.output = JsonOutput() if rest == "json" else TextOutput(mode=rest)

    def _read(self, rest: str) -> None:
        try:
            text = Path(rest.strip("'\"")).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            print(f"{rest} cannot be read: {error}")
        else:
            self._play(text, rest)


def complete(text: str) -> bool:
    """Return whether what was typed can be run: a command with a dot, or statements up to a semicolon.

    Examples
    --------
    >>> complete("SELECT ';"), complete("SELECT 1;"), complete(".help"), complete("SELECT 1 -- ;")
    (False, True, True, False)
    """
    if not text.strip() or text.lstrip().startswith("."):
        return True
    try:
        tokens = tokens_of(text)
    except WsdbError:
        return text.endswith(";\n")  # a text that cannot be read goes to DuckDB after an empty line
    return bool(tokens) and tokens[-1].kind == "SEMICOLON"


def keys() -> KeyBindings:
    """Return what Enter does: run what is complete, else begin a new line."""
    bindings = KeyBindings()

    @Condition
    def ready() -> bool:
        from prompt_toolkit.application import get_app

        return complete(get_app().current_buffer.text)

    @bindings.add("enter", filter=ready)
    def _(event: KeyPressEvent) -> None:
        accept_line(event)

    return bindings


def history() -> History:
    """Return the history of earlier sessions, in the user's state directory where that can be written."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "wsdb"
    try:
        state.mkdir(parents=True, exist_ok=True)
        (state / "history").touch()
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(state / "history"))


class Words(Completer):
    """Completes keywords, functions, tables and the objects of wsdb; after a dot the commands."""

    def __init__(self, session: Any, commands: list[str]) -> None:
        self._session = session
        self._commands = [*commands, ".quit"]

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Give what may stand at the cursor."""
        if document.text.lstrip().startswith("."):
            word = document.text_before_cursor.lstrip()
            return self._starting(self._commands, word)
        word = document.get_word_before_cursor()
        names = self._names() if word else []
        return self._starting([*names, *(f"{name}(" for name in FUNCTIONS), *KEYWORDS], word)

    def _starting(self, words: list[str], start: str) -> Iterator[Completion]:
        for word in dict.fromkeys(words):
            if start and word.lower().startswith(start.lower()):
                yield Completion(word, start_position=-len(start))

    def _names(self) -> list[str]:
        """Return the names of tables, and of tasks, models and labeling functions."""
        run = self._session.connection.execute
        try:
            found = [name for (name,) in run("SELECT DISTINCT name FROM (SHOW ALL TABLES)").fetchall()]
            if "objects" in found:
                found += [name for (name,) in run("SELECT name FROM wsdb.objects").fetchall()]
        except Exception:  # a completion that cannot be made is none
            return []
        return found
