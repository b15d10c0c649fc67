"""How the suite runs: hypothesis profiles, threads, `.test` files as items, what a slow test is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.slt.records import SltSyntaxError
from tests.slt.runner import UPDATE, Runner, SltFailure, SltSkip, data_folder

# One thread per library and worker: two xdist workers with two threads each would fight for the same cores.
# Set before any of them is imported.
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ.setdefault(_variable, "1")

_SQL_TESTS = Path(__file__).parent / "sql"
_SLOW_TIMEOUT_S = 600

settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect tests/sql/**/*.test and *.test_slow, one item per file."""
    if file_path.suffix in (".test", ".test_slow") and _SQL_TESTS in file_path.parents:
        return SltCollector.from_parent(parent, path=file_path)
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give slow tests a longer time-out."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_SLOW_TIMEOUT_S))


class SltCollector(pytest.File):
    """One `.test` file."""

    def collect(self) -> Iterator[pytest.Item]:
        yield SltItem.from_parent(self, name=self.path.stem)


class SltItem(pytest.Item):
    """The run of one `.test` file."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)
        if self.path.suffix == ".test_slow":
            self.add_marker("slow")

    def runtest(self) -> None:
        import duckdb

        import wsdb

        runner = Runner(wsdb.connect, (wsdb.WsdbError, duckdb.Error))
        try:
            rewrites = runner.run(self.path)
        except SltSkip as reason:
            pytest.skip(str(reason))
        if rewrites:
            self.add_report_section("call", UPDATE, f"{self.path}: {rewrites} expected part(s) rewritten")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> object:
        if isinstance(excinfo.value, SltFailure | SltSyntaxError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, str(self.path.relative_to(_SQL_TESTS))


@pytest.fixture(scope="session")
def data() -> Path:
    """Return the folder with the shared data sets; skip where there is none (but never in CI)."""
    folder = data_folder()
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"the data sets are missing: {folder}")
        pytest.skip(f"the data sets are missing: {folder}")
    return folder
