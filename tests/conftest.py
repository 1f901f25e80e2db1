"""A proof for the rule ledger has to run: skipped or xfailed, it fails."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from _config.ledger.proofs import proofs_in

settings.register_profile("book", deadline=None)  # no test has a clock
settings.load_profile("book")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Fail a test marked ``earns`` that was skipped or marked ``xfail``."""
    report = yield
    names = [name for mark in item.iter_markers("earns") for name in mark.args]
    if names and (report.skipped or hasattr(report, "wasxfail")):
        report.outcome = "failed"
        report.longrepr = (
            f"{item.nodeid} proves {', '.join(names)} for the ledger: "
            "it may not be skipped or marked xfail "
            f"({report.longrepr or 'it passed'})"
        )
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """Fail a file that holds proofs and was skipped as a whole."""
    report = yield
    if report.skipped and isinstance(collector, pytest.Module):
        if names := [proof.name for proof in proofs_in(collector.path)]:
            report.outcome = "failed"
            report.longrepr = (
                f"{collector.nodeid} proves {', '.join(names)} for the ledger: "
                f"it may not be skipped ({report.longrepr})"
            )
    return report
