"""Every SQL fence in README.md and docs/ runs, and gives what the page shows.

- A fence tagged ``sql`` runs; all of a page run in order, in one fresh in-memory session, at the root.
- A fence tagged ``text`` right after it must show what `print(db.sql(...))` shows of the last statement, the notices
  where it returns no rows, or the error. Times (``1.2 s``, ``seconds=0.001``) may differ.
- ``python run`` runs too, with the session as ``db``; what it prints is its output. Other Python is not run.
- ``sql no-run`` is not run. ``<!-- sql`` ... ``-->`` runs but is not seen: set-up that would bore the reader.
- A page with ``<!-- slow -->`` is a slow test; one with ``<!-- require: torch -->`` is skipped without torch.

``WSDB_UPDATE_GOLDEN=1`` writes the results into the pages. Results are compared on DuckDB 2 only: the box
that DuckDB 1.5 draws has other footers.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.docs.fences import check_page, fences, run_page, steps, updated
from tests.slt.runner import REQUIREMENTS, UPDATE

ROOT = Path(__file__).resolve().parents[2]


def _pages() -> list[Any]:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    found = []
    for page in pages:
        text = page.read_text(encoding="utf-8") if page.exists() else ""
        if steps(text):
            marks = [pytest.mark.slow] if "<!-- slow -->" in text else []
            found.append(pytest.param(page, id=str(page.relative_to(ROOT)), marks=marks))
    return found


@pytest.mark.parametrize("page", _pages())
def test_the_page_shows_what_its_sql_gives(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wsdb

    for need in re.findall(r"<!-- require: (\w+) -->", page.read_text(encoding="utf-8")):
        if not REQUIREMENTS[need]():
            pytest.skip(f"requires {need}")
    monkeypatch.chdir(ROOT)
    update = os.environ.get(UPDATE, "") not in ("", "0")
    check_page(
        page,
        wsdb.connect,
        (wsdb.WsdbError, *_duckdb_errors()),
        compare=REQUIREMENTS["duckdb2"](),
        update=update,
    )


def _duckdb_errors() -> tuple[type[Exception], ...]:
    import duckdb

    return (duckdb.Error,)


PAGE = """# Title
<!-- sql
setup
-->

```sql
one
```

```text
┌───┐SPACES
│ 1 │
└───┘
```

```sql no-run
never
```

```sql
bad
```
```text
Parser Error: no
```

```python
sql
```

```python run
db.sql("three")
print("4")
```

```text
4
```

```text
not an output
```
""".replace("SPACES", "  ")


class FakeSession:
    def __init__(self) -> None:
        self.seen: list[str] = []
        self.notices: list[str] = []

    def sql(self, query: str) -> str | None:
        self.seen.append(query)
        if query == "bad":
            raise ValueError("Parser Error: no")
        if query == "train":
            self.notices = ["trained in 1.5 s"]
            return None
        return "┌───┐\n│ 1 │\n└───┘\n"


def test_the_fences_of_a_page_are_found() -> None:
    words = [" ".join(fence.words) for fence in fences(PAGE)]
    python = ["python", "python run", "text", "text"]
    assert words == ["sql hidden", "sql", "text", "sql no-run", "sql", "text", *python]


def test_a_page_runs_in_order_and_its_outputs_are_compared() -> None:
    session = FakeSession()
    assert run_page(PAGE, session, ValueError) == []
    assert session.seen == ["setup", "one", "bad", "three"]


def test_a_wrong_output_is_found_and_can_be_written() -> None:
    wrong = PAGE.replace("│ 1 │", "│ 2 │").replace("Error: no", "Error: yes")
    differences = run_page(wrong, FakeSession(), ValueError)
    assert [item.actual for item in differences] == ["┌───┐\n│ 1 │\n└───┘", "Parser Error: no"]
    assert updated(wrong, differences) == PAGE.replace("┐  ", "┐")


def test_an_error_that_the_page_does_not_show_fails() -> None:
    with pytest.raises(AssertionError, match=r"line 1: this SQL fails:\nbad\nParser Error: no"):
        run_page("```sql\nbad\n```\n", FakeSession(), ValueError)


def test_a_statement_without_rows_shows_its_notices_and_times_may_differ() -> None:
    page = "```sql\ntrain\n```\n```text\ntrained in 22.0 s\n```\n"
    assert run_page(page, FakeSession(), ValueError) == []
    wrong = run_page(page.replace("trained", "refitted"), FakeSession(), ValueError)
    assert [item.actual for item in wrong] == ["trained in 1.5 s"]


def test_an_update_turns_no_table_into_an_error(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("```sql\nbad\n```\n```text\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="Parser Error: no"):
        check_page(path, FakeSession, ValueError, compare=True, update=True)
    path.write_text("```sql\nbad\n```\n```text\nError\n```\n", encoding="utf-8")
    check_page(path, FakeSession, ValueError, compare=True, update=True)
    assert "Parser Error: no" in path.read_text(encoding="utf-8")
